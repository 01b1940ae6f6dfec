/**
 * Finals: uploads that join partials. A final waits until all of its partials have all their bytes; then the node that
 * notices it first joins them, under the final's lease. It is noticed where the final begins, where the last byte of a
 * partial arrives, where a client looks at the final, and by a job. See docs/decisions/0048-joining-partials.md.
 */
import type { UploadRecord } from '../catalog/catalog.ts';
import { advanceFinal, releaseIfEnded } from './advance-final.ts';
import { recordFinal } from './begin-final.ts';
import type { FinalRequest } from './contract.ts';
import { type ErrorCode, TidemarkError } from './errors.ts';
import { sizeOfAll } from './join.ts';
import type { Parts } from './parts.ts';
import { isWhole } from './recovery.ts';
import { toTidemarkError } from './translate.ts';
import type { Writer } from './writer.ts';
import type { Writers } from './writers.ts';

/** How long the request that begins a final waits for it. */
const ANSWER_WITHIN_MS = 10_000;
/** Finals that this process joins at once: each reads and writes as fast as the store can. */
const MOST_AT_ONCE = 2;
/** What ends a final: the request that began it gets this answer, if it still waits. */
const ENDINGS: readonly ErrorCode[] = ['digest_mismatch', 'too_large', 'upload_expired'];

export interface Finals {
  /** Records a final, and waits for it for a while where its partials have all their bytes. @throws see `beginFinal`. */
  begin(request: FinalRequest): Promise<void>;
  /** The row of an upload; of a final, with its size as far as it is known by now. */
  known(upload: UploadRecord): Promise<UploadRecord>;
  /** Joins a final in the background, where it waits for nothing any more. */
  look(id: string): void;
  /** The same; resolves when that is done, or has failed. */
  attend(id: string): Promise<void>;
  /** A writer that tells the finals of what it does to a partial. */
  watch(writer: Writer): Writer;
  /** Forgets which partials a final has joined, where it has ended. */
  release(id: string): Promise<void>;
  /** Resolves when no final is being joined. */
  settled(): Promise<void>;
}

/** Prepares the finals of this process. */
export function createFinals(parts: Parts, writers: Writers): Finals {
  const { catalog, log, stopping } = parts;
  const running = new Map<string, Promise<void>>();
  /** Finals that somebody looked at while they were attended: what had been read of their partials may be outdated. */
  const lookedAt = new Set<string>();
  const inTurn = createSlots(MOST_AT_ONCE);

  async function advance(id: string): Promise<void> {
    do {
      lookedAt.delete(id);
      if (stopping.aborted) return;
      await advanceFinal(parts, writers, id);
    } while (lookedAt.has(id));
  }

  function attend(id: string): Promise<void> {
    const known = running.get(id);
    if (known) {
      lookedAt.add(id);
      return known;
    }
    const attending = inTurn(() => advance(id)).finally(() => {
      running.delete(id);
      lookedAt.delete(id);
    });
    running.set(id, attending);
    return attending;
  }

  function look(id: string): void {
    attend(id).catch((error: unknown) => {
      if (!stopping.aborted) log.warn({ uploadId: id, err: error }, 'a final upload is not joined yet');
    });
  }

  async function begin(request: FinalRequest): Promise<void> {
    const { id } = await recordFinal(parts, request);
    await attendFor(parts, () => attend(id)).catch((error: unknown) => {
      const refused = toTidemarkError(error);
      if (refused instanceof TidemarkError && ENDINGS.includes(refused.code)) throw refused;
      // It is tried again: by whoever looks at it, and by a job.
      log.warn({ uploadId: id, err: error }, 'a final upload is not joined yet');
    });
  }

  /** After a partial got bytes, or has ended. */
  async function lookAtFinalsOf(partialId: string): Promise<void> {
    try {
      const partial = await catalog.findUpload(partialId);
      if (partial?.state === 'receiving' && !isWhole(partial)) return;
      for (const { id } of await catalog.listFinalsOf(partialId)) look(id);
    } catch (error) {
      log.warn({ uploadId: partialId, err: error }, 'the finals of a partial upload are looked at later');
    }
  }

  return {
    begin,
    known: async (upload) => {
      if (upload.kind !== 'final' || upload.size !== null) return upload;
      return { ...upload, size: sizeOfAll(await catalog.listPartials(upload.id)) };
    },
    look,
    attend,
    watch: (writer) => {
      const { id, kind, state } = writer.upload;
      if (kind === 'file' || state !== 'receiving') return writer;
      return watched(writer, () => (kind === 'partial' ? lookAtFinalsOf(id) : releaseIfEnded(parts, id)));
    },
    release: (id) => releaseIfEnded(parts, id),
    settled: async () => {
      while (running.size > 0) await Promise.allSettled(running.values());
    },
  };
}

/** A writer that calls `after` once it has changed its upload. */
function watched(writer: Writer, after: () => Promise<void>): Writer {
  async function then<Result>(result: Promise<Result>): Promise<Result> {
    const done = await result;
    await after();
    return done;
  }

  return {
    ...writer,
    append: (source, options) => then(writer.append(source, options)),
    end: (reason) => then(writer.end(reason)),
    expire: () => then(writer.expire()),
    remove: () => then(writer.remove()),
  };
}

/** Waits for an action as long as a request may. The action continues. */
async function attendFor({ surroundings }: Parts, action: () => Promise<void>): Promise<void> {
  const isDone = new AbortController();
  const late = surroundings.wait(ANSWER_WITHIN_MS, { signal: isDone.signal, ref: false }).catch(() => undefined);
  try {
    await Promise.race([action(), late]);
  } finally {
    isDone.abort();
  }
}

/** Runs so many actions at once; the others wait in line. */
function createSlots(most: number): (action: () => Promise<void>) => Promise<void> {
  const line: (() => void)[] = [];
  let taken = 0;
  return async (action) => {
    if (taken >= most) await new Promise<void>((resolve) => line.push(resolve));
    else taken++;
    try {
      await action();
    } finally {
      const next = line.shift();
      if (next) next();
      else taken--;
    }
  };
}
