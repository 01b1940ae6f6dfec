/** The journal of unfinished uploads, from which a later run resumes them. */
import { join } from 'node:path';
import { isUploadAddress } from '../core/addresses.ts';
import { createRecordFolder, stateFolder } from './atomic-file.ts';
import { keepEntryForMs } from '../core/journal-life.ts';
import type { FileIdentity } from './local-file.ts';
import { lifeOf, ownMark } from './process-mark.ts';
import type { Life } from './process-mark.ts';

/** How long an entry is kept, in addition to the upload's life where the service reported it. */
export const KEEP_MS = 7 * 24 * 3600 * 1000;

interface JournalEntry {
  path: string;
  uploadUrl: string;
  /** Mark of the process that sends to the upload, or has sent to it; see process-mark.ts. */
  sender: string;
  /** Missing in the entries of earlier releases. */
  begunElsewhere?: boolean;
  /** How long the service keeps the upload without another byte; null where it did not report that. Missing as above. */
  lifeMs?: number | null;
}

/** The upload to which a file is sent. */
export interface JournalledUpload {
  url: string;
  begunElsewhere: boolean;
  /** See `lifeLeftMs`. */
  lifeMs: number | null;
}

export interface Journalled {
  uploadUrl: string;
  /** Whether the run that wrote the entry is still running. */
  sender: Life;
  /** Another client began it, and a run of ours has resumed it. */
  begunElsewhere: boolean;
}

export interface Journal {
  /** The upload to which the file was last sent, in exactly this state. */
  find(file: FileIdentity): Promise<Journalled | null>;
  /** An upload that `isIt` accepts, whichever file was sent to it. Prefers one to which a run is sending now. */
  findUpload(isIt: (uploadUrl: string) => boolean): Promise<Journalled | null>;
  /** Records that this process sends the file to an upload. @throws when the journal cannot be written. */
  record(file: FileIdentity, upload: JournalledUpload): Promise<void>;
  forget(file: FileIdentity): Promise<void>;
  /** Removes the entries of uploads that the service no longer has. */
  prune(): Promise<void>;
}

/** The journal of uploads to one server. */
export function createJournal(serverUrl: string): Journal {
  const folder = createRecordFolder<JournalEntry>(join(stateFolder(), 'uploads'), { durable: true });
  const keyOf = (file: FileIdentity): string[] => journalKey(serverUrl, file);

  async function findUpload(isIt: (uploadUrl: string) => boolean): Promise<Journalled | null> {
    let found: Journalled | null = null;
    for (const entry of await folder.list()) {
      const journalled = readEntry(entry);
      if (journalled === null || !isIt(journalled.uploadUrl)) continue;
      if (found === null || journalled.sender === 'running') found = journalled;
    }
    return found;
  }

  return {
    find: async (file) => readEntry(await folder.read(keyOf(file))),
    findUpload,
    record: (file, { url, begunElsewhere, lifeMs }) =>
      folder.write(keyOf(file), { path: file.path, uploadUrl: url, sender: ownMark(), begunElsewhere, lifeMs }),
    forget: (file) => folder.remove(keyOf(file)),
    prune: () => folder.prune(KEEP_MS, ({ lifeMs }) => keepEntryForMs(KEEP_MS, lifeMs)),
  };
}

/** The key has the whole identity: a changed file has another key, and never resumes an older upload. */
export function journalKey(serverUrl: string, file: FileIdentity): string[] {
  return [serverUrl, file.path, String(file.size), file.mtimeNs, file.ctimeNs, file.inode];
}

function readEntry(entry: JournalEntry | null): Journalled | null {
  if (!isUploadAddress(entry?.uploadUrl)) return null;
  const { uploadUrl, sender, begunElsewhere } = entry;
  return { uploadUrl, sender: lifeOf(sender), begunElsewhere: begunElsewhere === true };
}
