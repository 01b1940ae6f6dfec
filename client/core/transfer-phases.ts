/** What a transfer of the command does next after each outcome, as a table. client/cli/transfer.ts carries it out. */

export type Phase =
  /** Sends bytes to the upload, or creates one. */
  | 'send'
  /** A creation got no answer: asks the service what became of it. */
  | 'findCreated'
  /** Another client sends to the upload: watches its offset. */
  | 'standBack'
  /** Replaces the upload with a new one. */
  | 'beginAnew'
  | 'done'
  | 'fail';

export type Outcome =
  /** The service has all bytes. */
  | 'sent'
  /** The service no longer has the upload, or it is for other bytes. */
  | 'lost'
  /** Another client writes to the upload now. */
  | 'takenOver'
  /** A retry may succeed. */
  | 'obstacle'
  /** No retry would succeed. */
  | 'fatal'
  /** `findCreated` or `standBack` has found out what it was for: what became of the creation, or that the client need not wait. */
  | 'settled'
  /** The other client is too slow to wait for. */
  | 'slow';

export interface TransferStanding {
  /** The address of the upload is known. */
  hasUpload: boolean;
  /** The file that was published is known. */
  hasFile: boolean;
  /** The client may replace the upload with a new one. */
  canBeginAnew: boolean;
}

/** The next phase where the address of the upload is known (`upload`), and where it is not (`none`). */
const TABLE: Record<Outcome, { upload: Phase; none: Phase }> = {
  sent: { upload: 'done', none: 'fail' },
  lost: { upload: 'beginAnew', none: 'fail' },
  takenOver: { upload: 'standBack', none: 'findCreated' },
  obstacle: { upload: 'send', none: 'findCreated' },
  fatal: { upload: 'fail', none: 'fail' },
  settled: { upload: 'send', none: 'send' },
  slow: { upload: 'beginAnew', none: 'send' },
};

/** The phase that follows. */
export function phaseAfter(outcome: Outcome, { hasUpload, hasFile, canBeginAnew }: TransferStanding): Phase {
  const phase = TABLE[outcome][hasUpload ? 'upload' : 'none'];
  // A small file is sent with its creation, which may have published it although its answer was lost.
  if (phase === 'send' && outcome === 'settled' && !hasUpload && hasFile) return 'done';
  if (phase === 'beginAnew' && !canBeginAnew) return outcome === 'slow' ? 'send' : 'fail';
  return phase;
}
