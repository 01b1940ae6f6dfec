/** The lease in the upload's row: this node takes it and releases it there. */
import type { Logger } from 'pino';
import type { Asked, Catalog, UploadRecord } from '../catalog/catalog.ts';
import { type Lease, type LeftAs, LockError } from './leases.ts';
import type { Turn } from './lines.ts';

export interface LeaseRows {
  /** @throws LockError `missing`. */
  read(id: string): Promise<UploadRecord>;
  /** The lease, where it is free and the row is as it was read; undefined otherwise. */
  tryTake(row: UploadRecord, turn: Turn): Promise<Lease | undefined>;
  /** The lease over a row that names this node. Its release passes the turn on. */
  leaseOf(upload: UploadRecord, turn: Turn, needsRecovery: boolean): Lease;
  /** Releases a lease. A failure is logged: it is given back later, and requests here take it meanwhile. */
  giveBack(id: string, epoch: number, isRecovered: boolean): Promise<void>;
  /** Releases a lease that no request here holds although the row names this node: the answer to an earlier write was lost. */
  giveBackStale(id: string): Promise<void>;
  /** Gives back what could not be given back before, or was taken by a write whose answer was lost. Never throws. */
  giveBackLeft(): Promise<void>;
  /** Asks the node that holds the upload by a row, which that one reads with its next heartbeat. A failure is logged. */
  writeAsk(held: Pick<UploadRecord, 'id' | 'holder' | 'epoch'>, what: Asked): Promise<void>;
}

/** What the rows of a node's leases have to tell, and what they are told by. */
export interface LeaseSurroundings {
  /** Tells all nodes that an upload was given back. */
  tell: (uploadId: string) => void;
  /** Whether a request of this process has the upload, or waits for it. */
  isWanted: (uploadId: string) => boolean;
}

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
    // One request of this process handed the lease to the next without a write.
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
      // The next request of this process takes the lease from the row as it is, which saves a write.
      if (!turn.isAwaited()) await giveBack(id, epoch, isRecovered);
      turn.pass({ epoch, isRecovered });
    }

    return { uploadId: id, epoch, upload, needsRecovery: needs, release };
  }

  return { read, tryTake, leaseOf, giveBack, giveBackStale, giveBackLeft, writeAsk: createWriteAsk(options) };
}

/** How leases return to their rows, also where the catalog cannot be reached at first. */
function createGivingBack(
  { catalog, node, log }: LeaseRowsOptions,
  { tell, isWanted }: LeaseSurroundings,
): Pick<LeaseRows, 'giveBack' | 'giveBackStale' | 'giveBackLeft'> & { noteUnsure: (id: string) => void } {
  /** By upload: how it was to be given back; undefined where it is not known under which epoch its row names this node. */
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
      // A request here may have taken the lease meanwhile. One that takes it from now on has another epoch.
      const isStale = row?.holder === node && row.phase !== null && !isWanted(id);
      if (isStale) await giveBack(id, row.epoch, false);
      else tell(id);
    } catch (error) {
      left.set(id, undefined);
      log.warn({ uploadId: id, err: error }, 'a lease that nobody holds could not be given back yet');
    }
  }

  async function giveBackLeft(): Promise<void> {
    // What fails again comes with the next call.
    const now = Array.from(left);
    for (const [id, found] of now) {
      if (!found && isWanted(id)) continue;
      left.delete(id);
      // By its epoch: a request here may have the lease by now.
      if (found) await giveBack(id, found.epoch, found.isRecovered);
      else await giveBackStale(id);
    }
  }

  return { giveBack, giveBackStale, giveBackLeft, noteUnsure: (id) => void left.set(id, undefined) };
}

/** Whether another node that lives has the lease, by the upload's row. */
export async function isHeldElsewhere(
  { catalog, node }: Pick<LeaseRowsOptions, 'catalog' | 'node'>,
  { state, phase, holder }: UploadRecord,
): Promise<boolean> {
  if (state !== 'receiving' || holder === null || holder === node) return false;
  if (phase === null || phase === 'unrecovered') return false;
  return catalog.isNodeAlive(holder);
}

/** Whether the store may have something else than the row says, once nobody holds the upload. */
export function needsRecovery(
  { catalog, node }: Pick<LeaseRowsOptions, 'catalog' | 'node'>,
  { phase, holder }: UploadRecord,
): boolean {
  // A power cut may have taken back the last commits of an earlier process: its row may be older than the store.
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
