/** Requests of a race, and what has to be true at all nodes after it. What is not is noted among the problems of its round. */
import { setTimeout as wait } from 'node:timers/promises';
import { digestOfUrl } from '../../test/harness/make-file.ts';
import { type Answer, createUpload, encodeMetadata, head, patch, send, TUS } from '../../test/harness/tus.ts';
import type { Cluster } from './cluster.ts';
import type { Random } from './random.ts';

/** Requests until an upload is whole, each repeated after a refusal for a while. */
const MOST_REQUESTS = 50;
/** 409, 423 and 503 let a client of tus try again. */
export const TEMPORARY = new Set([409, 423, 503]);

/** One round. */
export interface Ground {
  readonly cluster: Cluster;
  readonly dice: Random;
  /** The addresses of the nodes, in another order each time. */
  readonly nodes: readonly [string, string, string];
  /** What the names of all files of the round begin with. */
  readonly name: string;
  readonly bytes: Buffer;
  readonly md5: string;
  readonly problems: string[];
  /** Of requests at the same moment: how often they were answered how. */
  readonly outcomes: Map<string, number>;
}

/** Sends requests at the same moment, or so close to each other that either may come first. Undefined: no answer. */
export async function atOnce(
  { dice, outcomes }: Ground,
  requests: readonly (() => Promise<Answer | undefined>)[],
): Promise<(Answer | undefined)[]> {
  const answers = await Promise.all(
    requests.map(async (request) => {
      await wait(dice.pick([0, 0, 1, 2, 5, 15]));
      // One that is refused before all of its body was sent may see its connection break.
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

/** @returns the file's id. */
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

/** Sends what an upload lacks. */
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

/** Asks for another file of the same bytes without a transfer. */
export function addInstantly({ md5, bytes }: Ground, node: string, name: string): Promise<Answer> {
  const query = new URLSearchParams({ md5, size: String(bytes.length), filename: name });
  return send('GET', `${node}/check?${query.toString()}`);
}

/** The answer that all nodes give; what they do not agree on is a problem. */
export async function tellAll({ nodes, problems }: Ground, path: string): Promise<Answer | undefined> {
  const answers: Answer[] = [];
  for (const node of nodes) answers.push(await send('GET', node + path));
  // The address of the file is that of the node which was asked.
  const told = new Set(answers.map(({ status, body }) => `${status} ${body.replaceAll(/http:\/\/[^/"]+/g, '')}`));
  if (told.size > 1) problems.push(`nodes tell of ${path}: ${[...told].join(' and ')}`);
  return answers[0];
}

/** An answer came, with one of these statuses. */
export function expectStatus({ problems }: Ground, what: string, answer: Answer | undefined, statuses: number[]): void {
  if (!answer || !statuses.includes(answer.status))
    problems.push(`${what}: ${answer ? `${answer.status} ${answer.body}` : 'no answer'}`);
}

/** No node knows the file any more. */
export async function expectGone(ground: Ground, id: string): Promise<void> {
  const told = await tellAll(ground, `/api/files/${id}`);
  if (told?.status !== 404) ground.problems.push(`a deleted file is there: ${told?.status} ${told?.body}`);
}

/** Each node gives the file's bytes. */
export async function expectBytes(ground: Ground, id: string): Promise<void> {
  for (const node of ground.nodes) await expectDigest(ground, `${node}/api/files/${id}/content`, ground.md5);
}

/** What is under an address has this MD5. */
export async function expectDigest({ problems }: Ground, url: string, md5: string): Promise<void> {
  const got = await digestOfUrl(url);
  if (got.status !== 200 || got.md5 !== md5) problems.push(`${url} is lost or corrupt: ${JSON.stringify(got)}`);
}

/** So many contents have the bytes of the round. */
export async function expectContents({ cluster, md5, problems }: Ground, count: number): Promise<void> {
  const rows = await cluster.run<{ key: string }>(`select key from contents where md5 = '${md5}'`);
  if (rows.length !== count) problems.push(`${rows.length} contents have these bytes, not ${count}`);
}
