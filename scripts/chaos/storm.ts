/**
 * A storm: many uploads at once by a plain tus client, while the S3 calls of the service are refused, lost, doubled, delayed,
 * shortened, corrupted and denied. The client follows the protocol: HEAD, PATCH at that offset, and wait for Retry-After.
 */
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { makeBytes } from '../../test/harness/bytes.ts';
import { type Answer, encodeMetadata, send, TUS } from '../../test/harness/tus.ts';
import { createRandom, type Random } from './random.ts';

const MIB = 1024 * 1024;
const AT_ONCE = 12;
/** The most requests of one upload: with more, it would never end. */
const MOST_REQUESTS = 200;
const MOST_WAIT_MS = 1_000;
const TELL_EVERY = 100;

/** A file that was reported as complete and not deleted since. */
export interface Kept {
  name: string;
  location: string;
  size: number;
  md5: string;
}

/** What the storm has found. */
export interface Storm {
  kept: Kept[];
  /** Violations that were seen. */
  problems: string[];
  /** Requests that were answered with 5xx, or not at all. */
  refusals: number;
}

/** Runs the storm. Resolves when every upload is complete, or its client has deleted it. */
export async function rideStorm(serviceUrl: string, uploads: number, seed: number): Promise<Storm> {
  const storm: Storm = { kept: [], problems: [], refusals: 0 };
  let next = 0;
  async function work(): Promise<void> {
    while (next < uploads) {
      const number = next++;
      const dice = createRandom(seed * 1_000_003 + number);
      try {
        await playUpload(serviceUrl, { number, dice, storm });
      } catch (error) {
        storm.problems.push(`upload ${number}: ${error instanceof Error ? error.message : String(error)}`);
      }
      if ((number + 1) % TELL_EVERY === 0) {
        process.stdout.write(`${number + 1} uploads, ${storm.refusals} refusals, ${storm.problems.length} problems\n`);
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return storm;
}

interface Play {
  number: number;
  dice: Random;
  storm: Storm;
}

function pickSize(dice: Random): number {
  const sort = dice.between(1, 100);
  if (sort <= 85) return dice.between(0, 200_000);
  if (sort <= 95) return dice.between(200_000, 4 * MIB);
  return dice.between(8 * MIB - 10, 18 * MIB);
}

async function playUpload(serviceUrl: string, play: Play): Promise<void> {
  const { number, dice, storm } = play;
  const size = pickSize(dice);
  // Some files have equal bytes, which the service stores once.
  const bytes = makeBytes(size, dice.pick([number, number, number, size % 7]));
  const name = `storm-${number}.bin`;
  const isDeferred = dice.between(1, 10) === 1;
  const location = await begin(serviceUrl, { name, size: isDeferred ? null : size, play });
  const end = dice.between(1, 20);
  // One client in twenty gives up in the middle.
  const told = await bring(location, bytes, { isDeferred, leaveAt: end === 1 ? Math.floor(size / 2) : size, play });
  if (told < size || end === 1 || end === 2) await remove(location, play);
  else storm.kept.push({ name, location, size, md5: createHash('md5').update(bytes).digest('hex') });
}

async function begin(
  serviceUrl: string,
  { name, size, play }: { name: string; size: number | null; play: Play },
): Promise<string> {
  const length = size === null ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(size) };
  const headers = { ...TUS, ...length, 'Upload-Metadata': encodeMetadata({ filename: name }) };
  const answer = await ask(play, () => send('POST', `${serviceUrl}/uploads`, { headers }));
  if (answer.status !== 201) throw new Error(`POST: ${answer.status} ${answer.body}`);
  return answer.headers.location ?? '';
}

/** Sends until the service reports the offset `leaveAt`. @returns the last offset that it has reported. */
async function bring(
  location: string,
  bytes: Buffer,
  { isDeferred, leaveAt, play }: { isDeferred: boolean; leaveAt: number; play: Play },
): Promise<number> {
  const { dice, storm, number } = play;
  let told = 0;
  let isComplete = false;
  for (let requests = 0; requests < MOST_REQUESTS; requests++) {
    const head = await ask(play, () => send('HEAD', location, { headers: TUS }));
    if (head.status !== 200) throw new Error(`HEAD: ${head.status}`);
    const offset = Number(head.headers['upload-offset']);
    if (offset < told) storm.problems.push(`upload ${number}: the offset went back from ${told} to ${offset}`);
    told = Math.max(told, offset);
    isComplete = told === bytes.length && head.headers['upload-length'] !== undefined;
    if (isComplete || (leaveAt < bytes.length && told >= leaveAt)) return told;
    // Sends all of the rest, or some of it, or breaks the connection half-way.
    const until = dice.pick([bytes.length, bytes.length, dice.between(offset, bytes.length)]);
    const body = bytes.subarray(offset, until);
    const declares = isDeferred && until === bytes.length && head.headers['upload-length'] === undefined;
    const headers = {
      ...TUS,
      'Upload-Offset': String(offset),
      'Content-Type': 'application/offset+octet-stream',
      ...(declares ? { 'Upload-Length': String(bytes.length) } : {}),
    };
    if (dice.between(1, 10) === 1) await sendBroken(location, headers, body);
    else {
      const answer = await send('PATCH', location, { headers, body }).catch(() => undefined);
      if (answer && answer.status === 204) told = Math.max(told, Number(answer.headers['upload-offset']));
      else if (answer && answer.status < 500 && ![409, 423].includes(answer.status)) {
        throw new Error(`PATCH at ${offset}: ${answer.status} ${answer.body}`);
      } else await rest(play, answer);
    }
  }
  throw new Error(`no end after ${MOST_REQUESTS} requests, at ${told} of ${bytes.length}`);
}

async function remove(location: string, play: Play): Promise<void> {
  const answer = await ask(play, () => send('DELETE', location, { headers: TUS }));
  // 404 and 410: an earlier DELETE was performed, but answered with a refusal.
  if (![204, 404, 410].includes(answer.status)) throw new Error(`DELETE: ${answer.status} ${answer.body}`);
}

/** Repeats a request until the answer is not a temporary failure. */
async function ask(play: Play, request: () => Promise<Answer>): Promise<Answer> {
  for (let tried = 1; ; tried++) {
    const answer = await request().catch(() => undefined);
    if (answer && answer.status < 500 && answer.status !== 423) return answer;
    if (tried === MOST_REQUESTS) throw new Error(`no answer but ${answer?.status} after ${tried} requests`);
    await rest(play, answer);
  }
}

async function rest({ storm, dice }: Play, answer: Answer | undefined): Promise<void> {
  storm.refusals++;
  const asked = Number(answer?.headers['retry-after'] ?? 0) * 1000;
  await wait(Math.min(MOST_WAIT_MS, asked) * 0.5 + dice.between(10, 200));
}

/** A PATCH whose connection breaks when half of its body was sent. */
function sendBroken(location: string, headers: Record<string, string>, body: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const request = httpRequest(location, {
      method: 'PATCH',
      headers: { ...headers, 'Content-Length': String(body.length + 1) },
    });
    request.on('error', () => undefined);
    request.on('response', (response) => response.resume());
    request.on('close', () => resolve());
    request.write(body.subarray(0, Math.ceil(body.length / 2)), () => request.destroy());
    if (body.length === 0) request.destroy();
  });
}
