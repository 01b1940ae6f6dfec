/**
 * Room for bytes whose number nobody has declared: how many their owner's quota lets in, until it is reached. What has arrived by then
 * is kept.
 */
import { OverQuota, sumOf } from '../catalog/quotas.ts';
import type { Parts } from './parts.ts';

/** What others take is found that soon; each look reads all unfinished uploads of the owner. */
const LOOK_EVERY_MS = 1_000;

export interface Room {
  /** How many bytes there is room for. */
  readonly bytes: number;
  /** Aborted once others have taken the room; the reason is the refusal. */
  readonly signal: AbortSignal;
  /** Looks now and then whether others have taken the room. To be called when bytes were recorded. */
  look(): void;
  /** The refusal of more bytes. */
  refusal(): OverQuota;
}

/** Measures the room of an owner. @returns undefined where they have no quota of bytes. */
export async function measureRoom(
  { catalog, limits, log, surroundings }: Parts,
  owner: string,
): Promise<Room | undefined> {
  const quota = limits.quotaOf(owner);
  const most = quota.bytes;
  if (most === null) return undefined;
  let usage = await catalog.usageOf(owner);
  let lookedAt = surroundings.elapsedMs();
  let isLooking = false;
  const taken = new AbortController();
  const refusal = (): OverQuota => new OverQuota('bytes', quota, usage);

  async function lookAgain(): Promise<void> {
    usage = await catalog.usageOf(owner);
    if (sumOf(usage).bytes > (most ?? Infinity)) taken.abort(refusal());
  }

  return {
    bytes: Math.max(0, most - sumOf(usage).bytes),
    signal: taken.signal,
    look: () => {
      if (isLooking || surroundings.elapsedMs() - lookedAt < LOOK_EVERY_MS) return;
      isLooking = true;
      lookAgain()
        .catch((error: unknown) => log.debug({ err: error }, 'the quota of an owner could not be looked at'))
        .finally(() => {
          isLooking = false;
          lookedAt = surroundings.elapsedMs();
        });
    },
    refusal,
  };
}

/** @throws OverQuota where there is no room for so many bytes. Others may take the room meanwhile. */
export async function refuseWithoutRoom(parts: Parts, owner: string, bytes: number): Promise<void> {
  const room = await measureRoom(parts, owner);
  if (room && bytes > room.bytes) throw room.refusal();
}
