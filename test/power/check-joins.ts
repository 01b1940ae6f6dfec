/** What has to be so of partials and finals after a power cut. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Service } from '../../server/service.ts';
import { type Answer, encodeMetadata, head, patch, send, TUS } from '../harness/tus.ts';
import { bytesOf, md5Of, type Story, toldBefore } from './story.ts';

/** How often a final is looked at until it is joined, every 20 ms. */
const MOST_LOOKS = 1_000;

export interface JoinedFile {
  id: string;
  size: number;
  md5: string;
}

/** Whether a partial may be gone: it is kept for some minutes after its final is published, and they may be over. */
export function mayBeGone(partial: Story, stories: readonly Story[], files: readonly JoinedFile[]): boolean {
  if (partial.kind !== 'partial') return false;
  const finals = stories.filter(({ of }) => of?.some(({ id }) => id === partial.id));
  return finals.some((final) => files.some((file) => file.md5 === md5Of(final)));
}

export interface GoOnOptions {
  service: Service;
  stories: readonly Story[];
  time: number;
  problems: string[];
  list: () => Promise<JoinedFile[]>;
}

/**
 * Partials are sent to their end. Then what waits for them is joined, and one more final over them all, which tells that each
 * has the bytes that were sent.
 */
export async function joinAfterCut({ service, stories, time, problems, list }: GoOnOptions): Promise<void> {
  const told = stories.filter((story) => {
    const events = toldBefore(story, time);
    return story.id !== null && events.length > 0 && !events.some(({ what }) => what === 'removing');
  });
  const partials: Story[] = [];
  for (const story of told) {
    if (story.kind !== 'partial') continue;
    const state = await head(addressOf(service, story));
    if (state.status !== 200) continue;
    const offset = Number(state.headers['upload-offset']);
    if (offset < story.size) {
      const answer = await patch(addressOf(service, story), offset, bytesOf(story).subarray(offset));
      if (answer.status !== 204 || answer.headers['tidemark-file-id'])
        problems.push(`${story.name} does not go on from ${offset}: ${answer.status} ${answer.body}`);
    }
    partials.push(story);
  }
  const finals = told.filter(({ kind }) => kind === 'final');
  if (partials.length > 0) finals.push(await joinAll(service, partials));
  for (const final of finals) {
    const answer = final.id === null ? undefined : await untilJoined(service, final);
    // What its client was told of is held to what it was told (check.ts).
    if (answer && answer.status !== 200 && [404, 410].includes(answer.status) && final.events.length > 0) continue;
    const fileId = answer?.headers['tidemark-file-id'];
    const file = (await list()).find(({ id }) => id === fileId);
    if (!file) problems.push(`${final.name} is not joined: ${answer?.status}`);
    else if (file.md5 !== md5Of(final)) problems.push(`${final.name} is joined, and published with other bytes`);
  }
}

function addressOf({ localUrl }: Service, { id }: Story): string {
  return `${localUrl}/uploads/${id}`;
}

async function joinAll(service: Service, partials: readonly Story[]): Promise<Story> {
  const name = 'joined-after.bin';
  const of = partials.toReversed();
  const size = of.reduce((sum, each) => sum + each.size, 0);
  const story: Story = { id: null, name, size, seed: 0, doomed: false, kind: 'final', of, events: [] };
  const answer = await send('POST', `${service.localUrl}/uploads`, {
    headers: {
      ...TUS,
      'Upload-Metadata': encodeMetadata({ filename: name, md5: md5Of(story) }),
      'Upload-Concat': `final;${of.map(({ id }) => `/uploads/${id}`).join(' ')}`,
    },
  });
  story.id = answer.headers.location?.split('/').at(-1) ?? null;
  return story;
}

async function untilJoined(service: Service, final: Story): Promise<Answer> {
  for (let looks = 1; ; looks++) {
    const answer = await head(addressOf(service, final));
    if (answer.status !== 200 || answer.headers['tidemark-file-id'] || looks > MOST_LOOKS) return answer;
    await wait(20);
  }
}
