/** Leases over the catalog's rows. */
import type { Logger } from 'pino';
import type { Surroundings } from '../../stores/surroundings.ts';
import type { Catalog, UploadRecord } from '../catalog/catalog.ts';
import { type Lease, type Leases, type LeftAs, LockError, type TakeOptions } from './leases.ts';
import { createLines, type Turn } from './lines.ts';
import type { Wake } from './wake.ts';

/** A waiter for another node's lease looks again so often: wakes may be lost, and nodes die without a word. */
const LOOK_AGAIN_MS = 1_000;

export interface LeasesOptions {
  catalog: Pick<Catalog, 'findUpload' | 'takeLease' | 'releaseLease' | 'releaseStale' | 'isNodeAlive' | 'isShared'>;
  /** The id of this node, which has joined. */
  node: string;
  wake: Wake;
  surroundings: Surroundings;
  log: Logger;
}

export function createLeases({ catalog, node, wake, surroundings, log }: LeasesOptions): Leases {
  const lines = createLines(surroundings);
  /** By upload: those who wait for a word of it from another node. */
  const waiters = new Map<string, Set<() => void>>();
  let commit: (id: string) => Promise<void> = async () => undefined;
  let isClosed = false;

  const stopListening = wake.listen(node, {
    onAsked: (what, id) => {
      if (what === 'commit') void commit(id).finally(() => wake.tell(id));
      else if (!lines.ask(id)) void giveBackStale(id);
    },
    onTold: (id) => {
      for (const resolve of waiters.get(id) ?? []) resolve();
    },
  });

  /** The row says that this node has it, and nobody here does: the answer to taking it or giving it back was lost. */
  async function giveBackStale(id: string): Promise<void> {
    try {
      await catalog.releaseStale(id, node);
      wake.tell(id);
    } catch (error) {
      log.warn({ uploadId: id, err: error }, 'a lease that nobody holds could not be given back yet');
    }
  }

  async function take(seen: UploadRecord, options: TakeOptions): Promise<Lease> {
    const { id } = seen;
    const untilMs = surroundings.elapsedMs() + options.timeoutMs;
    const turn = await lines.enter(id, options);
    try {
      let row = turn.hasWaited ? await read(id) : seen;
      for (;;) {
        checkStillWanted(id, options.signal);
        const lease = await tryTake(row, turn);
        if (lease) return await handOver(lease, turn, options.signal);
        const now = await read(id);
        if (now.epoch === row.epoch && now.state === 'receiving') await waitElsewhere(now, untilMs, options.signal);
        row = await read(id);
      }
    } catch (error) {
      await leave(id, turn);
      throw error;
    }
  }

  /** Gives up a turn in which no lease was taken; what its predecessor left, and the row does not say, passes to the next. */
  async function leave(id: string, turn: Turn): Promise<void> {
    const { left } = turn;
    if (left && !turn.isAwaited()) await giveBack(id, left.epoch, left.isRecovered);
    turn.pass(left);
  }

  async function takeIfFree(seen: UploadRecord, { onAsked }: Pick<TakeOptions, 'onAsked'>): Promise<Lease | undefined> {
    const turn = isClosed ? undefined : lines.enterIfEmpty(seen.id, onAsked);
    if (!turn) return undefined;
    try {
      const lease = await tryTake(seen, turn);
      if (lease) return await handOver(lease, turn);
      turn.pass();
      return undefined;
    } catch (error) {
      turn.pass();
      throw error;
    }
  }

  /** The lease, where it is free and the row is as it was read; undefined otherwise. */
  async function tryTake(row: UploadRecord, turn: Turn): Promise<Lease | undefined> {
    if (row.state !== 'receiving') return leaseOf(row, turn, false);
    const epoch = await catalog.takeLease(row, node);
    if (epoch === undefined) return undefined;
    // Of this process, handed on from one request to the next.
    const isHandedOn = turn.left?.epoch === row.epoch && row.holder === node;
    if (isHandedOn || row.phase === null) {
      const needs = isHandedOn ? !turn.left?.isRecovered : needsRecovery(row);
      return leaseOf({ ...row, epoch, holder: node, phase: 'receiving' }, turn, needs);
    }
    // Its last holder may have written between the reading of the row and the taking.
    return leaseOf(await readTaken(row.id, epoch), turn, true);
  }

  async function readTaken(id: string, epoch: number): Promise<UploadRecord> {
    try {
      return await read(id);
    } catch (error) {
      await giveBack(id, epoch, false);
      throw error;
    }
  }

  async function handOver(lease: Lease, turn: Turn, signal?: AbortSignal): Promise<Lease> {
    if (signal?.aborted || (isClosed && lease.upload.state === 'receiving')) {
      await lease.release(lease.needsRecovery ? 'unrecovered' : 'recovered');
      throw new LockError(isClosed ? 'closed' : 'aborted', lease.uploadId);
    }
    turn.hold();
    return lease;
  }

  function leaseOf(upload: UploadRecord, turn: Turn, needs: boolean): Lease {
    const { id, epoch } = upload;
    let isReleased = false;

    async function release(left: LeftAs): Promise<void> {
      if (isReleased) return;
      isReleased = true;
      const isRecovered = left === 'recovered';
      if (upload.state !== 'receiving' || left === 'ended') {
        turn.pass();
        // Others may wait for its end.
        wake.tell(id);
        return;
      }
      // The next in this process takes it from the row as it is: one write less.
      if (!turn.isAwaited()) await giveBack(id, epoch, isRecovered);
      turn.pass({ epoch, isRecovered });
    }

    return { uploadId: id, epoch, upload, needsRecovery: needs, release };
  }

  async function giveBack(id: string, epoch: number, isRecovered: boolean): Promise<void> {
    try {
      await catalog.releaseLease(id, epoch, { isRecovered });
    } catch (error) {
      // The row says that this node has it: other nodes ask for it, and requests here take it.
      log.warn({ uploadId: id, err: error }, 'a lease could not be given back yet');
    }
    wake.tell(id);
  }

  async function begin(
    id: string,
    create: () => Promise<UploadRecord>,
    { onAsked }: Pick<TakeOptions, 'onAsked'>,
  ): Promise<Lease> {
    const turn = isClosed ? undefined : lines.enterIfEmpty(id, onAsked);
    if (!turn) throw new LockError(isClosed ? 'closed' : 'timeout', id);
    try {
      return await handOver(leaseOf(await create(), turn, false), turn);
    } catch (error) {
      turn.pass();
      throw error;
    }
  }

  async function read(id: string): Promise<UploadRecord> {
    const row = await catalog.findUpload(id);
    if (!row) throw new LockError('missing', id);
    return row;
  }

  function checkStillWanted(id: string, signal: AbortSignal): void {
    if (isClosed) throw new LockError('closed', id);
    if (signal.aborted) throw new LockError('aborted', id);
  }

  /** Asks the other node that holds it, and waits for a word, or until it is time to look again. */
  async function waitElsewhere({ id, holder }: UploadRecord, untilMs: number, signal: AbortSignal): Promise<void> {
    const leftMs = untilMs - surroundings.elapsedMs();
    if (leftMs <= 0) throw new LockError('timeout', id);
    await told(id, Math.min(leftMs, LOOK_AGAIN_MS), () => holder && wake.ask(holder, 'release', id), signal);
  }

  /** @param ask - is called once it is sure that no answer is missed. */
  function told(id: string, mostMs: number, ask: () => unknown, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        surroundings.clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        const others = waiters.get(id);
        others?.delete(done);
        if (others?.size === 0) waiters.delete(id);
        resolve();
      };
      const timer = surroundings.setTimeout(done, mostMs);
      signal?.addEventListener('abort', done, { once: true });
      waiters.set(id, (waiters.get(id) ?? new Set()).add(done));
      ask();
    });
  }

  async function isHeldElsewhere({ state, phase, holder }: UploadRecord): Promise<boolean> {
    if (state !== 'receiving' || holder === null || holder === node) return false;
    if (phase === null || phase === 'unrecovered') return false;
    return catalog.isNodeAlive(holder);
  }

  function needsRecovery({ phase, holder }: UploadRecord): boolean {
    // What was committed before this process is durable as far as the disk got: a row may be older than the store.
    return phase !== null || holder === null || !(catalog.isShared || holder === node);
  }

  return {
    node,
    take,
    takeIfFree,
    begin,
    isWanted: (id) => lines.has(id),
    isHeldElsewhere,
    needsRecovery,
    catchUpElsewhere: async ({ id, holder }, mostMs) =>
      told(id, mostMs, () => holder && wake.ask(holder, 'commit', id)),
    untilTold: (id, mostMs) => told(id, mostMs, () => undefined),
    answer: (given) => {
      commit = given;
    },
    loseAll: () => lines.askAll(),
    close: async () => {
      isClosed = true;
      lines.close();
      stopListening();
      for (const [, all] of waiters) for (const resolve of all) resolve();
    },
  };
}
