/** A client that notes what it is told, and asks again when it gets no answer. */
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { type Answer, encodeMetadata, TUS } from '../harness/tus.ts';
import type { Recorder } from './recorder.ts';
import { bytesOf, EVERY_ANSWER_IS_DURABLE, type Event, md5Of, type Story } from './story.ts';

/** More would mean that it never ends. */
const MOST_TRIES = 40;
/** At a final that is being joined. */
const MOST_LOOKS = 2_000;
/** Refusals in a row after which the service is restarted. */
const REFUSALS = 6;
const MOST_STARTS = 5;

export interface Sending {
  /** Declares the length, which was deferred, with this request. */
  declares?: boolean;
  /** The body comes in so many bytes at once, with a pause in between. */
  piece?: number;
  pauseMs?: number;
  /** The checksum of the body; where it is wrong, the body has other bytes than it should have. */
  checksum?: 'right' | 'wrong';
  /** The connection breaks after so many bytes. */
  breakAfter?: number;
}

export interface Client {
  readonly stories: Story[];
  /** POST; `body` sends all bytes with it. */
  create(
    name: string,
    size: number,
    seed: number,
    options?: { defer?: boolean; md5?: string; body?: boolean; kind?: 'partial' },
  ): Promise<Story>;
  /** POST of a final over partials; `once`: without another try, and without an answer it has no id. */
  join(name: string, partials: readonly Story[], options?: { once?: boolean }): Promise<Story>;
  /** HEAD until the final is joined. */
  untilJoined(final: Story): Promise<void>;
  /** HEAD; the offset, null when there is no such upload any more. */
  head(story: Story): Promise<number | null>;
  /** One PATCH from `from` on up to `to`, tried once; the answer's status, 0 without one. */
  patch(story: Story, from: number, to: number, sending?: Sending): Promise<number>;
  /** HEAD and PATCH until `to` is told. */
  send(story: Story, to: number, sending?: Sending): Promise<void>;
  /** Asks for the list. */
  list(): Promise<void>;
  /** `/check` with a name: the content is given to the asker. */
  instant(name: string, of: Story): Promise<Story>;
  rename(story: Story, name: string): Promise<void>;
  /** Deletes the file, or terminates the upload. @param finals - that end with it. */
  remove(story: Story, by: 'file' | 'upload', finals?: readonly Story[]): Promise<void>;
  /** Ends the service, by SIGKILL unless told, and starts it again. */
  restart(signal?: NodeJS.Signals): Promise<void>;
}

export function createClient(recorder: Recorder): Client {
  const { service } = recorder;
  const stories: Story[] = [];
  let reviving: Promise<void> | undefined;
  let refusals = 0;

  function note(story: Story, event: Omit<Extract<Event, { what: 'created' }>, 'at'> | object): void {
    story.events.push({ at: recorder.time(), ...event } as Event);
  }

  async function start(signal: NodeJS.Signals): Promise<void> {
    await service.kill(signal);
    for (let tried = 1; ; tried++) {
      try {
        await service.restart();
        refusals = 0;
        return;
      } catch (error) {
        // The operator starts it on a disk that works again.
        if (tried === MOST_STARTS) recorder.setFaults(0, 0);
        if (tried > MOST_STARTS) throw error;
      }
    }
  }

  function restart(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    reviving ??= start(signal).finally(() => (reviving = undefined));
    return reviving;
  }

  /** Until it is answered with something that is no trouble of the service. */
  async function ask(method: string, path: string, headers: object, body?: Uint8Array): Promise<Answer> {
    for (let tried = 1; ; tried++) {
      await reviving;
      const answer = await exchange(method, service.url + path, { ...TUS, ...headers }, body ?? null);
      if (!(answer instanceof Error) && answer.status < 500) {
        refusals = 0;
        return answer;
      }
      if (tried === MOST_TRIES)
        throw new Error(`${method} ${path}: ${answer instanceof Error ? answer.message : answer.status}`);
      await recover(answer);
    }
  }

  async function recover(answer: Answer | Error): Promise<void> {
    if (reviving) return reviving;
    refusals++;
    if (
      answer instanceof Error
        ? /ECONNREFUSED/.test(String((answer as NodeJS.ErrnoException).code))
        : refusals >= REFUSALS
    ) {
      await restart();
    } else await wait(5);
  }

  function newStory(name: string, size: number, seed: number): Story {
    const story: Story = { id: null, name, size, seed, doomed: false, events: [] };
    stories.push(story);
    return story;
  }

  function noteAnswer(story: Story, answer: Answer): void {
    const offset = answer.headers['upload-offset'];
    const fileId = answer.headers['tidemark-file-id'];
    if (typeof fileId === 'string') note(story, { what: 'complete', fileId });
    else if (offset !== undefined && answer.status < 300) note(story, { what: 'offset', offset: Number(offset) });
  }

  async function patch(story: Story, from: number, to: number, sending: Sending = {}): Promise<number> {
    const { checksum } = sending;
    const right = bytesOf(story).subarray(from, to);
    const headers = {
      ...TUS,
      ...(checksum ? { 'Upload-Checksum': `sha1 ${createHash('sha1').update(right).digest('base64')}` } : {}),
      'Upload-Offset': String(from),
      'Content-Type': 'application/offset+octet-stream',
      ...(sending.declares ? { 'Upload-Length': String(story.size) } : {}),
    };
    const body = checksum === 'wrong' ? right.map((byte) => byte ^ 1) : right;
    const answer = await exchange('PATCH', `${service.url}/uploads/${story.id}`, headers, body, sending);
    if (answer instanceof Error) return 0;
    if (answer.status === 460 && !checksum) note(story, { what: 'rejected' });
    else noteAnswer(story, answer);
    return answer.status;
  }

  async function look(story: Story): Promise<{ offset: number; hasLength: boolean } | null> {
    const answer = await ask('HEAD', `/uploads/${story.id}`, {});
    if (answer.status !== 200) return null;
    noteAnswer(story, answer);
    return {
      offset: Number(answer.headers['upload-offset']),
      hasLength: answer.headers['upload-length'] !== undefined,
    };
  }

  const client: Client = {
    stories,
    patch,
    restart,

    async create(name, size, seed, { defer = false, md5: declared, body = false, kind } = {}) {
      const story = newStory(name, size, seed);
      if (kind) story.kind = kind;
      story.doomed = declared !== undefined && declared !== md5Of(story);
      const metadata = encodeMetadata({ filename: name, ...(declared === undefined ? {} : { md5: declared }) });
      const length = defer ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(size) };
      const type = body ? { 'Content-Type': 'application/offset+octet-stream' } : {};
      const concat = kind ? { 'Upload-Concat': kind } : {};
      const headers = { 'Upload-Metadata': metadata, ...length, ...type, ...concat };
      const answer = await ask('POST', '/uploads', headers, body ? bytesOf(story) : undefined);
      if (answer.status !== 201) throw new Error(`POST: ${answer.status} ${answer.body}`);
      story.id = (answer.headers.location ?? '').split('/').at(-1) ?? null;
      note(story, { what: 'created' });
      noteAnswer(story, answer);
      return story;
    },

    async join(name, partials, { once = false } = {}) {
      const story = newStory(
        name,
        partials.reduce((sum, { size }) => sum + size, 0),
        0,
      );
      story.kind = 'final';
      story.of = partials.map(({ id, size, seed }) => ({ id, size, seed }));
      const headers = {
        'Upload-Metadata': encodeMetadata({ filename: name, md5: md5Of(story) }),
        'Upload-Concat': `final;${partials.map(({ id }) => `/uploads/${id}`).join(' ')}`,
      };
      const answer = await (once
        ? exchange('POST', `${service.url}/uploads`, { ...TUS, ...headers }, null)
        : ask('POST', '/uploads', headers));
      if (once && (answer instanceof Error || answer.status >= 500)) return story;
      if (answer instanceof Error || answer.status !== 201)
        throw new Error(`POST of a final: ${JSON.stringify(answer)}`);
      story.id = (answer.headers.location ?? '').split('/').at(-1) ?? null;
      note(story, { what: 'created' });
      noteAnswer(story, answer);
      return story;
    },

    async untilJoined(story) {
      for (let tried = 1; story.id !== null && !story.events.some(({ what }) => what === 'complete'); tried++) {
        if ((await look(story)) === null || tried > MOST_LOOKS) throw new Error(`${story.name} is not joined`);
        await wait(20);
      }
    },

    async head(story) {
      return (await look(story))?.offset ?? null;
    },

    async send(story, to, sending = {}) {
      for (let tried = 1; ; tried++) {
        const now = await look(story);
        if (now === null || now.offset >= to) return;
        if (tried === MOST_TRIES) throw new Error(`${story.name}: no end after ${MOST_TRIES} tries`);
        // The length may have been taken with bytes that were not.
        const declares = sending.declares === true && !now.hasLength;
        const checksum = sending.checksum && { checksum: sending.checksum };
        const status = await patch(story, now.offset, to, { ...(tried === 1 ? sending : checksum), declares });
        if (status === 460) return;
        if (status >= 500 || status === 0) await recover(await exchange('GET', `${service.url}/healthz`, {}, null));
      }
    },

    async list() {
      const answer = await exchange('GET', `${service.url}/api/files?limit=1000`, {}, null);
      if (answer instanceof Error || answer.status !== 200) return;
      const { files } = JSON.parse(answer.body) as { files: { id: string; name: string }[] };
      for (const { id, name } of files) {
        const story = stories.find((each) => each.name === name);
        if (story && !story.events.some(({ what }) => what === 'listed')) note(story, { what: 'listed', fileId: id });
      }
    },

    async instant(name, of) {
      const story = newStory(name, of.size, of.seed);
      const query = new URLSearchParams({ md5: md5Of(of), size: String(of.size), filename: name });
      const answer = await ask('GET', `/check?${query.toString()}`, {});
      const { file } = JSON.parse(answer.body) as { file?: { id: string } };
      if (file) note(story, { what: 'complete', fileId: file.id });
      return story;
    },

    async rename(story, name) {
      const fileId = fileIdOf(story);
      note(story, { what: 'renaming', name });
      const answer = await ask(
        'PATCH',
        `/api/files/${fileId}`,
        { 'Content-Type': 'application/json' },
        Buffer.from(JSON.stringify({ name })),
      );
      if (answer.status === 200) note(story, { what: 'renamed', name });
    },

    async remove(story, by, finals = []) {
      for (const each of [story, ...finals]) note(each, { what: 'removing' });
      const path = by === 'file' ? `/api/files/${fileIdOf(story)}` : `/uploads/${story.id}`;
      const answer = await ask('DELETE', path, {});
      const isGone = EVERY_ANSWER_IS_DURABLE && [404, 410].includes(answer.status);
      if (answer.status < 300 || isGone) note(story, { what: 'removed' });
    },
  };
  return client;
}

function fileIdOf(story: Story): string {
  const told = story.events.find((event) => event.what === 'complete');
  if (told?.what !== 'complete') throw new Error(`${story.name} is not complete`);
  return told.fileId;
}

/** One exchange on a connection of its own; never rejects. */
function exchange(
  method: string,
  url: string,
  headers: object,
  body: Uint8Array | null,
  { piece, pauseMs = 0, breakAfter }: Sending = {},
): Promise<Answer | Error> {
  return new Promise((resolve) => {
    const length = body ? { 'Content-Length': String(body.length) } : {};
    const request = httpRequest(url, { method, agent: false, headers: { ...headers, ...length } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', resolve);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, code: undefined });
      });
    });
    request.on('error', resolve);
    request.on('close', () => resolve(new Error('closed')));
    void (async () => {
      const end = Math.min(body?.length ?? 0, breakAfter ?? Infinity);
      const step = piece ?? Math.max(end, 1);
      for (let at = 0; body && at < end; at += step) {
        await new Promise((done) => request.write(body.subarray(at, Math.min(end, at + step)), done));
        if (pauseMs > 0) await wait(pauseMs);
      }
      if (breakAfter === undefined) request.end();
      else request.destroy();
    })();
  });
}
