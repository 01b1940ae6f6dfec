/**
 * A client of a cluster that resumes: HEAD, PATCH at that offset, and again. It retries what the protocol lets it retry: a
 * broken or silent connection, 409, 423, 503. Any other refusal is a problem.
 */
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { makeBytes } from '../../test/harness/bytes.ts';
import { type Answer, encodeMetadata, TUS } from '../../test/harness/tus.ts';
import type { Random } from './random.ts';

const MIB = 1024 * 1024;
/** A frozen node does not answer: after this time the client sends another request to the balancer. */
const SILENCE_MS = 5_000;
const PIECE_BYTES = 64 * 1024;
/** The most requests for one upload; with more, it would never end. */
const MOST_REQUESTS = 150;
const MOST_WAIT_MS = 1_000;
/** One of this many PATCHes is sent twice at once. */
const COPIED_ONE_IN = 6;
const TEMPORARY = new Set([409, 423, 503]);

/** A file of a run, as its client knows it. */
export interface Sent {
  name: string;
  location: string;
  size: number;
  md5: string;
}

/** What all clients of a run share. */
export interface Run {
  url: string;
  /** Violations, as sentences. */
  problems: string[];
  /** The number of requests without an answer, or with a temporary refusal. */
  failures: number;
}

/** What one client uploads. */
export interface Plan {
  name: string;
  bytes: Buffer;
  isDeferred: boolean;
  dice: Random;
  /** Aborted when the client is killed: its connections break, and another one resumes. */
  killed: () => AbortSignal;
}

/** Makes the bytes of a file: most are small, some have several parts. @param same - equal numbers and sizes give equal bytes. */
export function chooseBytes(dice: Random, same: number): Buffer {
  const sort = dice.between(1, 100);
  const size =
    sort <= 50
      ? dice.between(0, 200_000)
      : sort <= 75
        ? dice.between(200_000, 4 * MIB)
        : dice.between(4 * MIB, 18 * MIB);
  return makeBytes(size, same);
}

/** Uploads a whole file. */
export async function upload(run: Run, plan: Plan): Promise<Sent> {
  const { name, bytes, isDeferred } = plan;
  const length = isDeferred ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(bytes.length) };
  const headers = { ...TUS, ...length, 'Upload-Metadata': encodeMetadata({ filename: name }) };
  const begun = await ask(run, plan, 'POST', `${run.url}/uploads`, headers);
  const location = begun.headers.location ?? '';
  if (begun.status !== 201) throw new Error(`POST of ${name}: ${begun.status} ${begun.body}`);
  await bring(run, plan, location);
  return { name, location, size: bytes.length, md5: createHash('md5').update(bytes).digest('hex') };
}

/** Sends until the service reports that it has all bytes. */
async function bring(run: Run, plan: Plan, location: string): Promise<void> {
  const { bytes, isDeferred, dice, name } = plan;
  let told = 0;
  for (let requests = 0; requests < MOST_REQUESTS; requests++) {
    const head = await ask(run, plan, 'HEAD', location, TUS);
    if (head.status !== 200)
      throw new Error(`HEAD of ${name}, of which ${told} bytes were acknowledged: ${head.status}`);
    const offset = Number(head.headers['upload-offset']);
    if (offset < told) run.problems.push(`the offset of ${name} went back from ${told} to ${offset}`);
    told = Math.max(told, offset);
    const isLengthKnown = head.headers['upload-length'] !== undefined;
    if (offset === bytes.length && isLengthKnown) return;
    const end = dice.pick([bytes.length, bytes.length, dice.between(offset, bytes.length)]);
    const declares = isDeferred && end === bytes.length && !isLengthKnown;
    const headers = {
      ...TUS,
      'Upload-Offset': String(offset),
      'Content-Type': 'application/offset+octet-stream',
      ...(declares ? { 'Upload-Length': String(bytes.length) } : {}),
    };
    // Like a client that lost an answer, or runs twice: another node gets the same bytes at the same time. Not where the
    // PATCH declares the length, which is possible only once: the client has to ask whether it was declared.
    const copies = dice.between(1, COPIED_ONE_IN) === 1 && !declares ? 2 : 1;
    const sending = { body: bytes.subarray(offset, end), dice, killed: plan.killed() };
    const answers = await Promise.all(
      Array.from({ length: copies }, () => request('PATCH', location, headers, sending)),
    );
    const taken = answers.filter((answer) => answer?.status === 204);
    if (taken.length > 1 && end > offset) run.problems.push(`the bytes of ${name} at ${offset} were taken twice`);
    for (const answer of taken) told = Math.max(told, Number(answer?.headers['upload-offset']));
    for (const answer of answers) {
      if (answer?.status !== 204) await rest(run, plan, `PATCH of ${name} at ${offset}`, answer);
    }
  }
  throw new Error(`no end of ${name} after ${MOST_REQUESTS} requests, at ${told} of ${bytes.length}`);
}

/** Deletes the file of an upload. If an answer is lost, the request is repeated, and the file may be gone by then. */
export async function remove(run: Run, plan: Plan, { location, name }: Sent): Promise<void> {
  const answer = await ask(run, plan, 'DELETE', location, TUS);
  if (![204, 404, 410].includes(answer.status)) run.problems.push(`DELETE of ${name}: ${answer.status} ${answer.body}`);
}

/** Renames the file of an upload. @returns the status: 200, or 404 where the file does not exist any more. */
export async function rename(run: Run, plan: Plan, { location }: Sent, name: string): Promise<number> {
  const found = await ask(run, plan, 'HEAD', location, TUS);
  const id = found.headers['tidemark-file-id'];
  if (found.status !== 200 || typeof id !== 'string') return 404;
  const headers = { 'Content-Type': 'application/json' };
  const answer = await ask(run, plan, 'PATCH', `${run.url}/api/files/${id}`, headers, JSON.stringify({ name }));
  if (![200, 404].includes(answer.status)) run.problems.push(`rename of ${plan.name}: ${answer.status} ${answer.body}`);
  return answer.status;
}

/** Adds another file with the same bytes, without a transfer. @returns it; undefined where the bytes are gone. */
export async function addInstantly(run: Run, plan: Plan, { md5, size }: Sent, name: string): Promise<Sent | undefined> {
  const query = new URLSearchParams({ md5, size: String(size), filename: name });
  const answer = await ask(run, plan, 'GET', `${run.url}/check?${query.toString()}`, {});
  if (answer.status !== 200) run.problems.push(`/check for ${name}: ${answer.status} ${answer.body}`);
  const found = JSON.parse(answer.body || '{}') as { status?: string; file?: { id: string } };
  if (found.status !== 'exists' || !found.file) return undefined;
  return { name, location: `${run.url}/api/files/${found.file.id}/content`, size, md5 };
}

/** Repeats a request until the answer is not a temporary failure. */
async function ask(
  run: Run,
  plan: Plan,
  method: string,
  url: string,
  headers: Record<string, string>,
  text?: string,
): Promise<Answer> {
  const body = text === undefined ? {} : { body: Buffer.from(text) };
  for (let tried = 1; ; tried++) {
    const answer = await request(method, url, headers, { ...body, killed: plan.killed() });
    if (answer && answer.status < 500 && !TEMPORARY.has(answer.status)) return answer;
    if (tried === MOST_REQUESTS) throw new Error(`${method} for ${plan.name}: no answer but ${answer?.status}`);
    await rest(run, plan, `${method} for ${plan.name}`, answer);
  }
}

async function rest(run: Run, { dice }: Plan, what: string, answer: Answer | undefined): Promise<void> {
  run.failures++;
  if (answer && !TEMPORARY.has(answer.status)) run.problems.push(`${what}: ${answer.status} ${answer.body}`);
  const asked = Number(answer?.headers['retry-after'] ?? 0) * 1000;
  await wait(Math.min(MOST_WAIT_MS, asked) * 0.5 + dice.between(10, 300));
}

interface Sending {
  body?: Buffer;
  /** Chooses the speed, so that strikes hit requests in their middle. */
  dice?: Random;
  killed: AbortSignal;
}

/** Sends a request. @returns undefined where the connection broke or was silent for too long. */
function request(
  method: string,
  url: string,
  headers: Record<string, string>,
  { body, dice, killed }: Sending,
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const length: Record<string, string> = body ? { 'Content-Length': String(body.length) } : {};
    const outgoing = httpRequest(url, {
      method,
      headers: { ...length, ...headers },
      agent: false,
      timeout: SILENCE_MS,
    });
    const kill = (): void => void outgoing.destroy();
    killed.addEventListener('abort', kill, { once: true });
    outgoing.on('timeout', kill);
    outgoing.on('error', () => undefined);
    outgoing.on('close', () => {
      killed.removeEventListener('abort', kill);
      resolve(undefined);
    });
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => undefined);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, code: undefined });
        // A refusal may arrive before all of the body was sent.
        outgoing.destroy();
      });
    });
    if (killed.aborted) kill();
    void write(outgoing, body ?? Buffer.alloc(0), dice?.pick([0, 1, 2, 5]) ?? 0);
  });
}

/** Writes a body in pieces. @param restMs - the pause after each piece. */
async function write(outgoing: ReturnType<typeof httpRequest>, body: Buffer, restMs: number): Promise<void> {
  for (let at = 0; at < body.length && !outgoing.destroyed; at += PIECE_BYTES) {
    await new Promise<void>((resolve) => {
      outgoing.once('close', resolve);
      outgoing.write(body.subarray(at, at + PIECE_BYTES), () => {
        outgoing.off('close', resolve);
        resolve();
      });
    });
    if (restMs > 0) await wait(restMs);
  }
  outgoing.end();
}
