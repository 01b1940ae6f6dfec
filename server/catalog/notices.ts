/**
 * Notices between nodes: short texts that wake those who wait. All of them are hints: a notice may be lost, come late or
 * twice. What holds stands in the catalog's rows, and whoever waits looks there now and then. Only a catalog that several
 * nodes have open brings any.
 */

export interface Notices {
  /**
   * Tells all other nodes. Never waits, never throws.
   *
   * @param notice - one line of at most 1,000 bytes.
   * @param options - `urgent`: somebody waits for it; otherwise it may wait a moment for others to go along with.
   */
  send(notice: string, options?: { urgent?: boolean }): void;
  /** Listens until the returned function is called. */
  hear(ear: Ear): () => void;
  close(): Promise<void>;
}

export interface Ear {
  /** Another node has told this. */
  onNotice(notice: string): void;
  /** Notices may have been lost until now. */
  onGap(): void;
}

/** Of a notice. */
export const MOST_NOTICE_BYTES = 1_000;

export interface NoticesOptions {
  /** Told in a sentence what keeps notices from coming, once, and when they come again. */
  tell: (found: string) => void;
}
