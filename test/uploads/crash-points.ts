/**
 * Crash points: an upload's story is told again and again, and each time it is the next call that goes wrong, until there is
 * none left. Whatever was told before holds afterwards, the upload can be finished, and once its file is deleted nothing
 * is left.
 */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { createJobs } from '../../server/jobs/jobs.ts';
import { removeLeftContents } from '../../server/jobs/removals.ts';
import { createProcessWake } from '../../server/leases/wake.ts';
import type { ExpectedChecksum } from '../../server/uploads/checksums.ts';
import { hasCode } from '../../server/uploads/errors.ts';
import { createFileActions } from '../../server/uploads/files.ts';
import type { DigestPool } from '../../stores/digests/digests.ts';
import type { Faults } from '../../stores/memory/faults.ts';
import { type Store, UNKNOWN_MS } from '../../stores/store.ts';
import { type House, openHouse } from './support.ts';

const OWNER = 'anyone';
const NEVER = new AbortController().signal;
/** More calls than any story makes. */
const MOST_CALLS = 500;

/** What happens at the call, and what follows. */
export interface Crash {
  name: string;
  /** `after`: the call has taken effect, and its answer is lost. */
  at: 'before' | 'after';
  follows: 'fail' | 'die' | 'lose power';
}

export const CRASHES: Crash[] = [
  { name: 'fails', at: 'before', follows: 'fail' },
  { name: 'loses its answer', at: 'after', follows: 'fail' },
  { name: 'is the last before the process dies', at: 'after', follows: 'die' },
  { name: 'is never made, as the process dies', at: 'before', follows: 'die' },
  { name: 'is the last before the power goes', at: 'after', follows: 'lose power' },
  { name: 'is never made, as the power goes', at: 'before', follows: 'lose power' },
];

/** The crashes for a story: with checksums, those after which the call has taken effect. The others leave less. */
export function crashesOf({ first }: Pick<Story, 'first'>): Crash[] {
  return first.checksum ? CRASHES.filter(({ at }) => at === 'after') : CRASHES;
}

/** The call that goes wrong. */
export interface Point {
  /** For a store that asks before each of its calls. */
  readonly faults: Faults;
  /** The call that it was, once it has come. */
  readonly fired: string | undefined;
  /** Resolves when the process has died. */
  readonly died: Promise<'died'>;
  /** No call is counted from now on. */
  end(): void;
  /** The catalog as the process reaches it. */
  over(catalog: Catalog): Catalog;
}

/** What outlives the service. */
export interface Ground<P extends Point = Point> {
  catalog: Catalog;
  digests: DigestPool;
  createPoint(nth: number, crash: Crash): Promise<P>;
  /**
   * @param point - of the process that crashes; without it nothing goes wrong.
   * @param aheadMs - of the clock by which bytes are old.
   */
  openStore(point?: P, aheadMs?: number): Promise<Store>;
  /** The power goes and returns; where that can be done in this process. */
  cutPower?: () => void;
  /** Where a process dies before the answer comes, no row names what was stored: it is removed once it is old. */
  leavesUnnoted?: true;
  /** Keys of final bytes, of contents or not. Those that the store lists unless told. */
  listContents?(): string[];
}

/** What a client sends. */
export interface Story {
  bytes: Buffer;
  /** As the client sends them. */
  chunkBytes: number;
  first: Sent;
  /** The upload's length is only expected: a request of its own completes it, not its last byte. */
  completesByRequest?: boolean;
}

/** What the client has heard, and has asked for. */
interface Told {
  readonly story: Story;
  id: string | undefined;
  offset: number;
  fileId: string | undefined;
  /** The client has sent what completes the upload; before that, it must not be published. */
  hasCompleted: boolean;
  isDeleting: boolean;
  isDeleted: boolean;
}

export interface Sent {
  /** The connection breaks before this byte: what comes before it arrives. */
  cutAt?: number | undefined;
  /** The request ends before this byte. */
  until?: number;
  /** It declares the length that was only expected. */
  completes?: boolean;
  /** The request has a checksum: it counts whole, or not at all. */
  checksum?: 'right' | 'wrong';
}

/** One request from where the upload stands. */
async function send({ uploads }: House, told: Told, given: Sent = {}): Promise<void> {
  const { bytes, chunkBytes, completesByRequest = false } = told.story;
  const { cutAt, until = bytes.length, completes = false, checksum } = given;
  if (completes || !completesByRequest) told.hasCompleted = true;
  const id = told.id ?? '';
  const { offset } = await uploads.view(id, OWNER);
  expect(offset).toBeGreaterThanOrEqual(told.offset);
  told.offset = offset;
  async function* body(): AsyncIterable<Buffer> {
    for (let at = offset; at < (cutAt ?? until); at += chunkBytes) {
      yield bytes.subarray(at, Math.min(at + chunkBytes, cutAt ?? until));
      await turn();
    }
    if (cutAt !== undefined) throw new Error('the line is cut');
  }
  const writer = await uploads.open(id, OWNER, { signal: NEVER });
  try {
    const { state, size, expectedSize } = writer.upload;
    const isExpected = size === null && expectedSize === bytes.length;
    if (completesByRequest && !completes && state === 'receiving' && !isExpected)
      await writer.expectLength(bytes.length);
    const declared = completes && size === null ? { length: bytes.length } : {};
    const received = await writer.append(Readable.from(body()), {
      maxBytes: bytes.length - offset,
      checksum: checksum && checksumOf(bytes.subarray(offset, checksum === 'right' ? until : until - 1)),
      ...declared,
    });
    told.offset = received.offset;
    told.fileId = received.file?.id;
  } finally {
    await writer.release();
  }
}

function checksumOf(bytes: Buffer): ExpectedChecksum {
  return { algorithm: 'sha1', expected: createHash('sha1').update(bytes).digest() };
}

/** Create, append in two requests, the first of which may be cut or refused, publish, delete. */
async function tellStory(house: House, told: Told): Promise<void> {
  const { bytes, first } = told.story;
  const id = await house.begin(bytes);
  await house.parts.catalog.durable();
  told.id = id;
  await send(house, told, first).catch((error: unknown) => {
    if (first.checksum !== 'wrong' || !hasCode(error, 'checksum_mismatch')) throw error;
  });
  await send(house, told, first.checksum ? { checksum: 'right' } : {});
  if (told.story.completesByRequest) await send(house, told, { completes: true });
  await remove(house, told);
}

async function remove({ parts }: House, told: Told): Promise<void> {
  told.isDeleting = true;
  await createFileActions(parts).remove(told.fileId ?? '', OWNER);
  told.isDeleted = true;
}

/** What was told holds; the upload is finished, and its file deleted: then nothing is left. */
async function finish(house: House, told: Told): Promise<void> {
  const { catalog } = house.parts;
  const { bytes, first } = told.story;
  if (!told.isDeleting) {
    if (told.fileId === undefined) {
      told.id ??= await house.begin(bytes);
      const { offset, state } = await house.uploads.view(told.id, OWNER);
      expect(offset).toBeGreaterThanOrEqual(told.offset);
      if (!told.hasCompleted) expect(state).toBe('receiving');
      if (first.checksum) expect(wholes(told.story)).toContain(offset);
      if (state === 'receiving') await send(house, told);
      if (state === 'receiving' && told.story.completesByRequest && !told.fileId)
        await send(house, told, { completes: true });
      told.fileId ??= (await catalog.findUpload(told.id))?.fileId ?? undefined;
    }
    // Comparing them by `toEqual` takes minutes where they are many.
    expect((await bytesOf(house, told.fileId))?.equals(bytes)).toBe(true);
  }
  const found = await bytesOf(house, told.fileId);
  if (told.isDeleted) expect(found).toBeUndefined();
  if (found) {
    expect(found.equals(bytes)).toBe(true);
    await remove(house, told);
  }
  expect(await bytesOf(house, told.fileId)).toBeUndefined();
}

/** The offsets that a story has whose requests count whole or not at all. */
function wholes({ bytes, first }: Story): number[] {
  return [0, ...(first.checksum === 'right' ? [first.until ?? bytes.length] : []), bytes.length];
}

async function bytesOf({ parts }: House, fileId: string | undefined): Promise<Buffer | undefined> {
  const file = await parts.catalog.findFile(fileId ?? '', OWNER);
  if (!file) return undefined;
  const { key, size } = file.content;
  return buffer(await parts.store.readContent(key, undefined, undefined, size));
}

/** One round of each job, and what comes before them at a start. */
async function runEachJobOnce(
  { parts, writers, recovery, finals }: House,
  { isStart }: { isStart: boolean },
): Promise<void> {
  const jobParts = { ...parts, writers, recovery, finals };
  if (isStart) await removeLeftContents(jobParts);
  for (const job of createJobs(jobParts)) await job.round();
}

async function everything(items: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** @returns the call at which it crashed; undefined when the story has fewer. */
async function crashAt<P extends Point>(
  nth: number,
  crash: Crash,
  ground: Ground<P>,
  story: Story,
): Promise<string | undefined> {
  const point = await ground.createPoint(nth, crash);
  const { digests } = ground;
  const catalog = point.over(ground.catalog);
  const crashing = await openHouse(
    {},
    {},
    { store: await ground.openStore(point), shared: { catalog, digests, wake: createProcessWake() } },
  );
  const told: Told = {
    story,
    id: undefined,
    offset: 0,
    fileId: undefined,
    hasCompleted: false,
    isDeleting: false,
    isDeleted: false,
  };
  const telling = tellStory(crashing, told).catch((error: unknown) => {
    // The fault may fail the story, and may not make it see what is wrong.
    if (point.fired === undefined || isFailedExpectation(error)) throw error;
  });
  await Promise.race([telling, point.died]);
  point.end();
  if (point.fired === undefined) return undefined;
  if (crash.follows === 'lose power') {
    // What was under way in the catalog has ended.
    await turn();
    ground.cutPower?.();
  }
  // As a start finds it: no other process has the catalog open.
  if (crash.follows !== 'fail') await ground.catalog.leaveNode(crashing.parts.leases.node);
  const after = crash.follows === 'fail' ? crashing : await reopen(ground);
  // Made final before the cut took their row: a service that finds such bytes tells of them, and leaves them alone.
  const strays = crash.follows === 'lose power' && !told.isDeleting ? await straysOf(ground, after) : [];
  if (after !== crashing) await runEachJobOnce(after, { isStart: true });
  await finish(after, told);
  await runEachJobOnce(after, { isStart: false });
  for (const key of strays) await after.parts.store.removeContent(key);
  expect(await contentsOf(ground, after)).toEqual([]);
  expect(await after.parts.catalog.listRemovals(0, 10)).toEqual([]);
  // A removal that failed, or that the power cut undid, of an upload that nobody knows any more: it goes when it is old.
  const isClean = crash.follows === 'die' && !ground.leavesUnnoted;
  const last = isClean ? after : await reopen(ground, UNKNOWN_MS + 1000);
  await runEachJobOnce(last, { isStart: true });
  expect(await everything(last.parts.store.listUnfinished())).toEqual([]);
  return point.fired;
}

async function contentsOf(ground: Pick<Ground, 'listContents'>, { parts }: House): Promise<string[]> {
  return ground.listContents?.() ?? everything(parts.store.listContents());
}

async function straysOf(ground: Pick<Ground, 'listContents'>, house: House): Promise<string[]> {
  const keys = await contentsOf(ground, house);
  const known = await house.parts.catalog.filterKeys(keys);
  return keys.filter((key) => !known.has(key));
}

function isFailedExpectation(error: unknown): boolean {
  return error instanceof Error && error.name === 'AssertionError';
}

/** The service after a restart: nothing fails any more. */
async function reopen(ground: Pick<Ground, 'catalog' | 'digests' | 'openStore'>, aheadMs?: number): Promise<House> {
  return openHouse(
    {},
    {},
    { store: await ground.openStore(undefined, aheadMs), shared: { ...ground, wake: createProcessWake() } },
  );
}

/** Tells the story with the first call that goes wrong, the second, and so on. @returns these calls. */
export async function crashEverywhere<P extends Point>(
  crash: Crash,
  ground: Ground<P>,
  story: Story,
): Promise<string[]> {
  const calls: string[] = [];
  for (let nth = 1; nth < MOST_CALLS; nth++) {
    const fired = await crashAt(nth, crash, ground, story).catch((error: unknown) => {
      throw new Error(`call ${nth}, after ${calls.slice(-3).join(', ')}: ${String(error)}`, { cause: error });
    });
    if (fired === undefined) return calls;
    calls.push(fired);
  }
  throw new Error(`more than ${MOST_CALLS} calls`);
}
