/** The lease in the upload's row: this node takes it and releases it there. */
import type { Logger } from 'pino';
import type { Asked, Catalog, UploadRecord } from '../catalog/catalog.ts';
import { type Lease, type LeftAs, LockError } from './leases.ts';
import type { Turn } from './lines.ts';

/** The steps on rows from which leases are made. */
export interface LeaseRows {
  /** Reads an upload's row. @throws LockError `missing`. */
  read(id: string): Promise<UploadRecord>;
  /** Takes the lease if it is free and the row has not changed since it was read; undefined otherwise. */
  tryTake(row: UploadRecord, turn: Turn): Promise<Lease | undefined>;
  /** Makes the lease for a row that names this node. Its release passes the turn on. */
  leaseOf(upload: UploadRecord, turn: Turn, needsRecovery: boolean): Lease;
  /** Releases a lease. A failure is logged: a later call retries it, and requests here can take the lease meanwhile. */
  giveBack(id: string, epoch: number, isRecovered: boolean): Promise<void>;
  /** Releases a lease that no request here holds although the row names this node: the answer to an earlier write was lost. */
  giveBackStale(id: string): Promise<void>;
  /** Releases leases whose release failed before, or that were taken by a write whose answer was lost. Never throws. */
  giveBackLeft(): Promise<void>;
  /** Asks the node that holds the upload, by a row that it reads with its next heartbeat. A failure is logged. */
  writeAsk(held: Pick<UploadRecord, 'id' | 'holder' | 'epoch'>, what: Asked): Promise<void>;
}

/** What the steps on rows need of the node around them. */
export interface LeaseSurroundings {
  /** Notifies all nodes that an upload was released. */
  tell: (uploadId: string) => void;
  /** Whether a request of this process has the upload, or waits for it. */
  isWanted: (uploadId: string) => boolean;
}

/** What the steps on rows work with. */
export interface LeaseRowsOptions {
  catalog: Pick<Catalog, 'findUpload' | 'takeLease' | 'releaseLease' | 'isNodeAlive' | 'isShared' | 'ask' | 'takeAsks'>;
  /** The id of this node, which has joined. */
  node: string;
  log: Logger;
}

/** Prepares the steps on rows. */
export function createLeaseRows(options: LeaseRowsOptions, { tell, isWanted }: LeaseSurroundings): LeaseRows {
  const { catalog, node } = options;
  const { giveBack, giveBackStale, giveBackLeft, noteUnsure } = createGivingBack(options, { tell, isWanted });

  async function read(id: string): Promise<UploadRecord> {
    const row = await catalog.findUpload(id);
    if (!row) throw new LockError('missing', id);
    return row;
  }

  async function tryTake(row: UploadRecord, turn: Turn): Promise<Lease | undefined> {
    if (row.state !== 'receiving') return leaseOf(row, turn, false);
    const epoch = await catalog.takeLease(row, node).catch((error: unknown) => {
      noteUnsure(row.id);
      throw error;
    });
    if (epoch === undefined) return undefined;
    // The previous request of this process passed the lease on without writing its release.
    const isHandedOn = turn.left?.epoch === row.epoch && row.holder === node;
    if (isHandedOn || row.phase === null) {
      const needs = isHandedOn ? !turn.left?.isRecovered : needsRecovery({ catalog, node }, row);
      return leaseOf({ ...row, epoch, holder: node, phase: 'receiving' }, turn, needs);
    }
    // The last holder may have written after the row was read and before the lease was taken.
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

  function leaseOf(upload: UploadRecord, turn: Turn, needs: boolean): Lease {
    const { id, epoch } = upload;
    let isReleased = false;

    async function release(left: LeftAs): Promise<void> {
      if (isReleased) return;
      isReleased = true;
      const isRecovered = left === 'recovered';
      if (upload.state !== 'receiving' || left === 'ended') {
        turn.pass();
        // Other nodes may wait for the upload's end.
        tell(id);
        return;
      }
      // The next request of this process takes the lease although the row still names this node: that saves a write.
      if (!turn.isAwaited()) await giveBack(id, epoch, isRecovered);
      turn.pass({ epoch, isRecovered });
    }

    return { uploadId: id, epoch, upload, needsRecovery: needs, release };
  }

  return { read, tryTake, leaseOf, giveBack, giveBackStale, giveBackLeft, writeAsk: createWriteAsk(options) };
}

/** Releases leases in their rows; those whose release failed are kept, and retried later. */
function createGivingBack(
  { catalog, node, log }: LeaseRowsOptions,
  { tell, isWanted }: LeaseSurroundings,
): Pick<LeaseRows, 'giveBack' | 'giveBackStale' | 'giveBackLeft'> & { noteUnsure: (id: string) => void } {
  /** By upload: the release that failed; undefined where this node does not know under which epoch the row names it. */
  const left = new Map<string, { epoch: number; isRecovered: boolean } | undefined>();

  async function giveBack(id: string, epoch: number, isRecovered: boolean): Promise<void> {
    try {
      await catalog.releaseLease(id, epoch, { isRecovered });
    } catch (error) {
      left.set(id, { epoch, isRecovered });
      log.warn({ uploadId: id, err: error }, 'a lease could not be given back yet');
    }
    tell(id);
  }

  async function giveBackStale(id: string): Promise<void> {
    try {
      const row = await catalog.findUpload(id);
      // A request here may have taken the lease meanwhile. One that takes it after this check gets another epoch.
      const isStale = row?.holder === node && row.phase !== null && !isWanted(id);
      if (isStale) await giveBack(id, row.epoch, false);
      else tell(id);
    } catch (error) {
      left.set(id, undefined);
      log.warn({ uploadId: id, err: error }, 'a lease that nobody holds could not be given back yet');
    }
  }

  async function giveBackLeft(): Promise<void> {
    // What fails again is retried by the next call.
    const now = Array.from(left);
    for (const [id, found] of now) {
      if (!found && isWanted(id)) continue;
      left.delete(id);
      // The epoch makes this safe: a request here may have the lease by now, under a newer one.
      if (found) await giveBack(id, found.epoch, found.isRecovered);
      else await giveBackStale(id);
    }
  }

  return { giveBack, giveBackStale, giveBackLeft, noteUnsure: (id) => void left.set(id, undefined) };
}

/** Whether another live node has the lease, by the upload's row. */
export async function isHeldElsewhere(
  { catalog, node }: Pick<LeaseRowsOptions, 'catalog' | 'node'>,
  { state, phase, holder }: UploadRecord,
): Promise<boolean> {
  if (state !== 'receiving' || holder === null || holder === node) return false;
  if (phase === null || phase === 'unrecovered') return false;
  return catalog.isNodeAlive(holder);
}

/** For an upload that nobody holds: whether the store's state may differ from the row. */
export function needsRecovery(
  { catalog, node }: Pick<LeaseRowsOptions, 'catalog' | 'node'>,
  { phase, holder }: UploadRecord,
): boolean {
  // A power cut may have undone the last commits of an earlier process: the row may be older than the store's state.
  return phase !== null || holder === null || !(catalog.isShared || holder === node);
}

/** Asks the node that holds an upload in the catalog; see `LeaseRows`. */
function createWriteAsk({ catalog, log }: Pick<LeaseRowsOptions, 'catalog' | 'log'>): LeaseRows['writeAsk'] {
  return async ({ id, holder, epoch }, what) => {
    if (holder === null) return;
    try {
      await catalog.ask(holder, { uploadId: id, what, epoch });
    } catch (error) {
      log.warn({ uploadId: id, err: error }, 'another node could not be asked about an upload yet');
    }
  };
}
