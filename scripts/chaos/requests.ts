/**
 * The requests of clients in a run. They repeat what protocols let them repeat: a broken or silent connection, 409, 423, 503.
 * Any other refusal is a problem.
 */
import { type ClientRequest, type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { Answer } from '../../test/harness/tus.ts';
import type { Random } from './random.ts';

/** A frozen node does not answer: after this time the client sends another request to the balancer. */
const SILENCE_MS = 5_000;
const PIECE_BYTES = 64 * 1024;
/** The most requests for one upload; with more, it would never end. */
export const MOST_REQUESTS = 150;
const MOST_WAIT_MS = 1_000;
const TEMPORARY = new Set([409, 423, 503]);

/** What all clients of a run share. */
export interface Run {
  url: string;
  /** Violations, as sentences. */
  problems: string[];
  /** The number of requests without an answer, or with a temporary refusal. */
  failures: number;
  /** Names of files that may exist or not: the answer to the request that made them was lost. */
  uncertain: string[];
}

/** What one client uploads. */
export interface Plan {
  name: string;
  bytes: Buffer;
  isDeferred: boolean;
  /** Each request declares the checksum of its body. */
  isChecksummed?: boolean;
  dice: Random;
  /** Aborted when the client is killed: its connections break, and another one resumes. */
  killed: () => AbortSignal;
}

/**
 * Repeats a request until the answer is not a temporary failure.
 *
 * @param onSilence - called where a request is given up that a node may still take up later.
 */
export async function ask(
  run: Run,
  plan: Plan,
  method: string,
  url: string,
  headers: Record<string, string>,
  { text, onSilence }: { text?: string; onSilence?: () => void } = {},
): Promise<Answer> {
  const body = text === undefined ? {} : { body: Buffer.from(text) };
  const sending = { ...body, ...(onSilence ? { onSilence } : {}) };
  for (let tried = 1; ; tried++) {
    const answer = await request(method, url, headers, { ...sending, killed: plan.killed() });
    if (answer && answer.status < 500 && !TEMPORARY.has(answer.status)) return answer;
    if (tried === MOST_REQUESTS) throw new Error(`${method} for ${plan.name}: no answer but ${answer?.status}`);
    await rest(run, plan, `${method} for ${plan.name}`, answer);
  }
}

/** Notes a failure, and waits before the next request. An answer that forbids to repeat the request is a problem. */
export async function rest(run: Run, { dice }: Plan, what: string, answer: Answer | undefined): Promise<void> {
  run.failures++;
  if (answer && !TEMPORARY.has(answer.status)) run.problems.push(`${what}: ${answer.status} ${answer.body}`);
  const asked = Number(answer?.headers['retry-after'] ?? 0) * 1000;
  await wait(Math.min(MOST_WAIT_MS, asked) * 0.5 + dice.between(10, 300));
}

export interface Sending {
  body?: Buffer;
  /** Sends the body in chunks, with these trailers. */
  trailers?: Record<string, string> | undefined;
  /** The body follows once an informational answer (1xx) for which this is true has come. Without one, the request is given up. */
  whenTold?: (status: number, headers: IncomingHttpHeaders) => boolean;
  /** Called where nothing moved for too long: a node that stands still may take the request up later. */
  onSilence?: () => void;
  /** Called for each informational answer (1xx). */
  onTold?: (status: number, headers: IncomingHttpHeaders) => void;
  /** Chooses the speed, so that strikes hit requests in their middle. */
  dice?: Random;
  killed: AbortSignal;
}

/** Sends a request. @returns undefined where the connection broke or was silent for too long. */
export function request(
  method: string,
  url: string,
  headers: Record<string, string>,
  sending: Sending,
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const { body, dice, killed, trailers, onTold } = sending;
    const length: Record<string, string> = body && !trailers ? { 'Content-Length': String(body.length) } : {};
    const outgoing = httpRequest(url, {
      method,
      headers: { ...length, ...headers },
      agent: false,
      timeout: SILENCE_MS,
    });
    const kill = (): void => void outgoing.destroy();
    killed.addEventListener('abort', kill, { once: true });
    outgoing.on('timeout', () => {
      sending.onSilence?.();
      kill();
    });
    outgoing.on('error', () => undefined);
    outgoing.on('close', () => {
      killed.removeEventListener('abort', kill);
      resolve(undefined);
    });
    if (onTold) outgoing.on('information', ({ statusCode, headers: told }) => onTold(statusCode, told));
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
    void begin(outgoing, sending, dice?.pick([0, 1, 2, 5]) ?? 0);
  });
}

/** Writes the body, at once or when the service has told something. */
async function begin(outgoing: ClientRequest, { body, trailers, whenTold }: Sending, restMs: number): Promise<void> {
  if (whenTold) {
    outgoing.flushHeaders();
    await new Promise<void>((resolve) => {
      // Later ones are noted, too.
      outgoing.on('information', ({ statusCode, headers }) => {
        if (whenTold(statusCode, headers)) resolve();
      });
      outgoing.once('close', resolve);
    });
  }
  if (trailers) outgoing.addTrailers(trailers);
  await write(outgoing, body ?? Buffer.alloc(0), restMs);
}

/** Writes a body in pieces. @param restMs - the pause after each piece. */
async function write(outgoing: ClientRequest, body: Buffer, restMs: number): Promise<void> {
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
