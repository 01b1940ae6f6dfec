/** Requests of a race, and checks of what has to be true at all nodes after it, which record problems of the round. */
import { setTimeout as wait } from 'node:timers/promises';
import { digestOfUrl } from '../../test/harness/make-file.ts';
import { type Answer, createUpload, encodeMetadata, head, patch, send, TUS } from '../../test/harness/tus.ts';
import type { Cluster } from './cluster.ts';
import type { Random } from './random.ts';

/** The most requests for one upload; with more, it would never end. */
const MOST_REQUESTS = 50;
/** Statuses after which a tus client may retry. */
export const TEMPORARY = new Set([409, 423, 503]);

/** One round. */
export interface Ground {
  readonly cluster: Cluster;
  readonly dice: Random;
  /** The addresses of the nodes, in a random order. */
  readonly nodes: readonly [string, string, string];
  /** The prefix of the names of all files of the round. */
  readonly name: string;
  readonly bytes: Buffer;
  readonly md5: string;
  readonly problems: string[];
  /** How often each combination of statuses was the answer to concurrent requests. */
  readonly outcomes: Map<string, number>;
}

/** Sends requests at the same moment, or so close to each other that any may come first. Undefined: no answer. */
export async function atOnce(
  { dice, outcomes }: Ground,
  requests: readonly (() => Promise<Answer | undefined>)[],
): Promise<(Answer | undefined)[]> {
  const answers = await Promise.all(
    requests.map(async (request) => {
      await wait(dice.pick([0, 0, 1, 2, 5, 15]));
      // The connection of a request that is refused before all of its body was sent may break.
      return request().catch(() => undefined);
    }),
  );
  tally(outcomes, answers.map((answer) => answer?.status ?? '-').join(' '));
  return answers;
}

/** Counts an outcome. */
export function tally(outcomes: Map<string, number>, outcome: string): void {
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
}

/** Publishes a file. @returns its id. */
export async function publish(ground: Ground, node: string, name: string): Promise<string> {
  const answer = await sendWhole(ground, node, name);
  const id = answer.headers['tidemark-file-id'];
  if (answer.status !== 201 || typeof id !== 'string') throw new Error(`POST: ${answer.status} ${answer.body}`);
  return id;
}

/** Sends a file in one request. */
export function sendWhole({ bytes }: Ground, node: string, name: string): Promise<Answer> {
  return send('POST', `${node}/uploads`, {
    headers: {
      ...TUS,
      'Upload-Length': String(bytes.length),
      'Upload-Metadata': encodeMetadata({ filename: name }),
      'Content-Type': 'application/offset+octet-stream',
    },
    body: bytes,
  });
}

/** Begins an upload. @returns its path, which is the same at all nodes. */
export async function begin({ nodes, bytes, name }: Ground): Promise<string> {
  return new URL(await createUpload(nodes[2], bytes.length, { filename: name })).pathname;
}

/** Sends the missing bytes of an upload. */
export async function finish({ nodes, bytes, dice }: Ground, path: string): Promise<void> {
  for (let requests = 0; requests < MOST_REQUESTS; requests++) {
    const node = dice.pick(nodes);
    const asked = await head(node + path);
    const offset = Number(asked.headers['upload-offset']);
    if (asked.status === 200 && offset === bytes.length) return;
    const answer = asked.status === 200 ? await patch(node + path, offset, bytes.subarray(offset)) : asked;
    if (![200, 204, ...TEMPORARY].includes(answer.status)) throw new Error(`no end: ${answer.status} ${answer.body}`);
    if (answer.status !== 204) await wait(dice.between(10, 100));
  }
  throw new Error(`no end after ${MOST_REQUESTS} requests`);
}

/** Renames a file. */
export function rename(node: string, id: string, name: string): Promise<Answer> {
  const headers = { 'Content-Type': 'application/json' };
  return send('PATCH', `${node}/api/files/${id}`, { headers, body: JSON.stringify({ name }) });
}

/** Deletes a file. */
export function remove(node: string, id: string): Promise<Answer> {
  return send('DELETE', `${node}/api/files/${id}`);
}

/** Ends an upload, or deletes what it became. */
export async function removeUpload(ground: Ground, node: string, path: string): Promise<Answer> {
  for (let tried = 1; ; tried++) {
    const answer = await send('DELETE', node + path, { headers: TUS });
    const { status, body } = answer;
    if (status === 204) return answer;
    if (!TEMPORARY.has(status) || tried === MOST_REQUESTS) {
      ground.problems.push(`DELETE of an upload: ${status} ${body}`);
      return answer;
    }
    await wait(ground.dice.between(10, 100));
  }
}

/** Adds another file with the same bytes, without a transfer. */
export function addInstantly({ md5, bytes }: Ground, node: string, name: string): Promise<Answer> {
  const query = new URLSearchParams({ md5, size: String(bytes.length), filename: name });
  return send('GET', `${node}/check?${query.toString()}`);
}

/** Asks all nodes; different answers are a problem. @returns the first answer. */
export async function tellAll({ nodes, problems }: Ground, path: string): Promise<Answer | undefined> {
  const answers: Answer[] = [];
  for (const node of nodes) answers.push(await send('GET', node + path));
  // Addresses in the answer begin with the address of the node that answers.
  const told = new Set(answers.map(({ status, body }) => `${status} ${body.replaceAll(/http:\/\/[^/"]+/g, '')}`));
  if (told.size > 1) problems.push(`nodes tell of ${path}: ${[...told].join(' and ')}`);
  return answers[0];
}

/** Checks that an answer came, with one of these statuses. */
export function expectStatus({ problems }: Ground, what: string, answer: Answer | undefined, statuses: number[]): void {
  if (!answer || !statuses.includes(answer.status))
    problems.push(`${what}: ${answer ? `${answer.status} ${answer.body}` : 'no answer'}`);
}

/** Checks that no node has the file any more. */
export async function expectGone(ground: Ground, id: string): Promise<void> {
  const told = await tellAll(ground, `/api/files/${id}`);
  if (told?.status !== 404) ground.problems.push(`a deleted file is there: ${told?.status} ${told?.body}`);
}

/** Checks that each node sends the file's bytes. */
export async function expectBytes(ground: Ground, id: string): Promise<void> {
  for (const node of ground.nodes) await expectDigest(ground, `${node}/api/files/${id}/content`, ground.md5);
}

/** Checks that the bytes at an address have this MD5. */
export async function expectDigest({ problems }: Ground, url: string, md5: string): Promise<void> {
  const got = await digestOfUrl(url);
  if (got.status !== 200 || got.md5 !== md5) problems.push(`${url} is lost or corrupt: ${JSON.stringify(got)}`);
}

/** Checks how many contents have the bytes of the round. */
export async function expectContents({ cluster, md5, problems }: Ground, count: number): Promise<void> {
  const rows = await cluster.run<{ key: string }>(`select key from contents where md5 = '${md5}'`);
  if (rows.length !== count) problems.push(`${rows.length} contents have these bytes, not ${count}`);
}
