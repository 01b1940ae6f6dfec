/** How a request takes a lease: it waits for its turn in this process, then takes the row, perhaps from another node. */
import type { Surroundings } from '../../stores/surroundings.ts';
import type { UploadRecord } from '../catalog/catalog.ts';
import { type Lease, type Leases, LockError, type TakeOptions } from './leases.ts';
import type { Lines, Turn } from './lines.ts';
import type { LeaseRows } from './rows.ts';
import { LOOK_AGAIN_MS, type Words } from './words.ts';

/** What taking a lease needs. */
export interface TakingParts {
  lines: Lines;
  rows: LeaseRows;
  words: Words;
  surroundings: Pick<Surroundings, 'elapsedMs'>;
}

/** The three ways to a lease; see `Leases`. */
export function createTaking(parts: TakingParts): Pick<Leases, 'take' | 'takeIfFree' | 'begin'> {
  const { lines, rows, surroundings } = parts;

  async function take(seen: UploadRecord, options: TakeOptions): Promise<Lease> {
    const { id } = seen;
    const untilMs = surroundings.elapsedMs() + options.timeoutMs;
    const turn = await lines.enter(id, options);
    try {
      let row = turn.hasWaited ? await rows.read(id) : seen;
      let isAnswered = true;
      for (;;) {
        checkStillWanted(id, options.signal);
        const lease = await rows.tryTake(row, turn);
        if (lease) return await handOver(lease, turn, options.signal);
        const now = await rows.read(id);
        if (now.epoch === row.epoch && now.state === 'receiving') {
          if (!isAnswered) await rows.writeAsk(now, 'release');
          isAnswered = await waitElsewhere(parts, now, untilMs, options.signal);
        }
        row = await rows.read(id);
      }
    } catch (error) {
      await leave(rows, id, turn);
      throw error;
    }
  }

  async function takeIfFree(seen: UploadRecord, { onAsked }: Pick<TakeOptions, 'onAsked'>): Promise<Lease | undefined> {
    const turn = lines.enterIfEmpty(seen.id, onAsked);
    if (!turn) return undefined;
    try {
      const lease = await rows.tryTake(seen, turn);
      if (lease) return await handOver(lease, turn);
      turn.pass();
      return undefined;
    } catch (error) {
      turn.pass();
      throw error;
    }
  }

  async function begin(
    id: string,
    create: () => Promise<UploadRecord>,
    { onAsked }: Pick<TakeOptions, 'onAsked'>,
  ): Promise<Lease> {
    const turn = lines.enterIfEmpty(id, onAsked);
    if (!turn) throw new LockError(lines.isClosed() ? 'closed' : 'timeout', id);
    try {
      return await handOver(rows.leaseOf(await create(), turn, false), turn);
    } catch (error) {
      turn.pass();
      throw error;
    }
  }

  function checkStillWanted(id: string, signal: AbortSignal): void {
    if (lines.isClosed()) throw new LockError('closed', id);
    if (signal.aborted) throw new LockError('aborted', id);
  }

  /** Gives the lease to its request, unless the request has left or the service stops: then the lease is released. */
  async function handOver(lease: Lease, turn: Turn, signal?: AbortSignal): Promise<Lease> {
    if (signal?.aborted || (lines.isClosed() && lease.upload.state === 'receiving')) {
      await lease.release(lease.needsRecovery ? 'unrecovered' : 'recovered');
      throw new LockError(lines.isClosed() ? 'closed' : 'aborted', lease.uploadId);
    }
    turn.hold();
    return lease;
  }

  return { take, takeIfFree, begin };
}

/** Gives up a turn in which no lease was taken. What the previous holder left, and the row does not say, passes to the next. */
async function leave(rows: LeaseRows, id: string, turn: Turn): Promise<void> {
  const { left } = turn;
  if (left && !turn.isAwaited()) await rows.giveBack(id, left.epoch, left.isRecovered);
  turn.pass(left);
}

/** Asks the node that holds the upload, and waits for its answer, at most a second. @returns whether one came. */
async function waitElsewhere(
  { words, surroundings }: Pick<TakingParts, 'words' | 'surroundings'>,
  held: UploadRecord,
  untilMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const leftMs = untilMs - surroundings.elapsedMs();
  if (leftMs <= 0) throw new LockError('timeout', held.id);
  return words.ask(held, 'release', Math.min(leftMs, LOOK_AGAIN_MS), signal);
}
