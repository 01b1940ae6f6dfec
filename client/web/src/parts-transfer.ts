/** Sends one file in parts, over several connections, and has the service join them. core/upload-parts.ts has the policy. */
import { mayBeginAnew } from '../../core/beginnings.ts';
import { limitPassed, tellsNoQuota } from '../../core/quota-room.ts';
import { isGone, meaningOf } from '../../core/refusals.ts';
import { planParts } from '../../core/upload-parts.ts';
import { delayInPage } from '../../core/waits.ts';
import { ApiError, endUpload, noAnswer, readQuota } from './api.ts';
import { awaitJoined, createFinal } from './final-upload.ts';
import {
  type Course,
  findStored,
  type Part,
  PARTS_LOST,
  type PartsAbout,
  type PartsEvents,
  partsLost,
  sendPart,
  tellParts,
} from './part-uploads.ts';
import { pause } from './pause.ts';
import type { Transfer } from './transfer.ts';

/** Sends the file, or what the service lacks of its parts. */
export function startPartsTransfer(file: File, about: PartsAbout, events: PartsEvents): Transfer {
  const parts = planParts(file.size, about.parts).map((part): Part => ({
    ...part,
    stored: 0,
    sent: 0,
    isKnown: false,
    begunAnew: 0,
  }));
  const { url, mayHaveFinal } = about;
  const course: Course = { file, about, events, parts, url, mayHaveFinal };
  let round: AbortController | null = null;
  let isEnded = false;

  function start(): void {
    const own = new AbortController();
    round = own;
    const isCurrent = (): boolean => round === own && !isEnded;
    void run(course, own.signal).then(
      (fileId) => isCurrent() && end(() => events.onDone(fileId)),
      (error: unknown) => isCurrent() && end(() => events.onFailed(asApiError(error))),
    );
  }

  function halt(): void {
    round?.abort(noAnswer('stopped'));
    round = null;
    for (const part of parts) part.isKnown = false;
  }

  function end(tell: () => void): void {
    if (isEnded) return;
    isEnded = true;
    halt();
    tell();
  }

  start();
  return {
    pause: halt,
    resume: () => {
      if (!isEnded && round === null) start();
    },
    stop: () => end(() => undefined),
    cancel: () =>
      end(() => {
        const uploads = [course.url, ...parts.map((part) => part.url)];
        // Where this fails, they expire by themselves.
        for (const each of uploads) if (each !== null) void endUpload(each).catch(() => undefined);
      }),
  };
}

function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError('unknown', 0, String(error));
}

/** @returns the id of the published file, where the service has said it. */
async function run(course: Course, signal: AbortSignal): Promise<string | null> {
  for (let begunAnew = 0; ; begunAnew += 1) {
    if (course.url === null) {
      if (course.parts.every(({ url }) => url === null)) await requireRoom(course.file.size, signal);
      await Promise.all(course.parts.map((part) => findStored(course, part)));
      signal.throwIfAborted();
      await sendAll(course, signal);
      const fileId = await createFinal(course, signal);
      if (fileId !== null) return fileId;
    }
    const joined = await awaitJoined(course, signal);
    if (joined !== null) return joined.fileId;
    if (!mayBeginAnew(begunAnew)) throw partsLost();
    course.url = null;
    for (const part of course.parts) part.isKnown = false;
    tellParts(course, { isFinalLost: true });
  }
}

/** @throws ApiError where the quota has no room for the file, before the first part takes some of it. */
async function requireRoom(size: number, signal: AbortSignal): Promise<void> {
  const quota = await readQuota().catch((error: unknown) => {
    if (error instanceof ApiError && tellsNoQuota(error)) return null;
    throw error;
  });
  signal.throwIfAborted();
  if (quota && limitPassed(quota, size) !== null)
    throw new ApiError('over_quota', 413, 'there is no room for the file within the quota');
}

/**
 * Sends all parts. A connection whose attempt failed waits while others send; the last one reports what it has met, and the
 * queue decides.
 */
async function sendAll(course: Course, given: AbortSignal): Promise<void> {
  const own = new AbortController();
  const signal = AbortSignal.any([given, own.signal]);
  const queue = course.parts.filter(({ start, end, stored }) => stored < end - start);
  let active = 0;

  async function attempt(part: Part): Promise<ApiError | null> {
    active += 1;
    try {
      await sendPart(course, part, signal);
      return null;
    } catch (error) {
      part.isKnown = false;
      queue.unshift(part);
      signal.throwIfAborted();
      const known = asApiError(error);
      // The next attempt looks at it, and begins it anew.
      if (isGone(known) && known.code !== PARTS_LOST && part.url !== null) return known;
      if (active <= 1 || !passes(known)) throw known;
      return known;
    } finally {
      active -= 1;
    }
  }

  async function stream(): Promise<void> {
    let attempts = 0;
    for (let part = queue.shift(); part; part = queue.shift()) {
      const obstacle = await attempt(part);
      attempts = obstacle ? attempts + 1 : 0;
      if (obstacle) await pause(delayInPage(attempts, Math.random(), obstacle), signal);
    }
  }

  const streams = Array.from({ length: course.about.streams }, () =>
    stream().catch((error: unknown) => {
      own.abort(error);
      throw error;
    }),
  );
  await Promise.allSettled(streams);
  given.throwIfAborted();
  if (own.signal.aborted) throw own.signal.reason;
}

/** Whether an obstacle of one connection passes without the user, and without room in the store. */
function passes(error: ApiError): boolean {
  const { stall } = meaningOf(error, false);
  return stall !== null && stall !== 'needsToken' && stall !== 'full';
}
