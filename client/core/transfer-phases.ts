/** What a transfer does after each thing that can happen to it, as a table. Nothing here does anything. */

export type Phase =
  /** Bytes go to the upload, or a new one is begun with them. */
  | 'send'
  /** A creation got no answer: the service is asked what became of it. */
  | 'findCreated'
  /** Another client sends to the upload: its bytes are watched. */
  | 'standBack'
  /** The upload is given up for a new one. */
  | 'beginAnew'
  | 'done'
  | 'fail';

export type Outcome =
  /** The service has all bytes. */
  | 'sent'
  /** The upload is lost, or not for these bytes. */
  | 'lost'
  /** Another client writes to the upload now. */
  | 'takenOver'
  /** A later try may succeed. */
  | 'obstacle'
  /** No later try would succeed. */
  | 'fatal'
  /** The question of the phase is answered: the creation was looked up, the other client has been watched for long enough. */
  | 'settled'
  /** The other client is too slow to wait for. */
  | 'slow';

export interface TransferStanding {
  /** The address of the upload is known. */
  hasUpload: boolean;
  /** The file that was published is known. */
  hasFile: boolean;
  /** The upload can be given up for a new one. */
  canBeginAnew: boolean;
}

/** By what is known when it happens: the address of an upload, or none. */
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
  // A small file travels with its creation, and may have been published by it.
  if (phase === 'send' && outcome === 'settled' && !hasUpload && hasFile) return 'done';
  if (phase === 'beginAnew' && !canBeginAnew) return outcome === 'slow' ? 'send' : 'fail';
  return phase;
}
