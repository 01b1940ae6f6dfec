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

/** As `KEEP_MS`, for a file that was sent by a link: it is recognized when it is sent by that once more. */
const KEEP_SENT_MS = 90 * 24 * 3600 * 1000;

interface JournalEntry {
  path: string;
  uploadUrl: string;
  /** Mark of the process that sends to the upload, or has sent to it; see process-mark.ts. */
  sender: string;
  /** Missing in the entries of earlier releases. */
  begunElsewhere?: boolean;
  /** How long the service keeps the upload without another byte; null where it did not report that. Missing as above. */
  lifeMs?: number | null;
  /** The name by which all of it was sent, by a link; missing as long as it is unfinished. */
  sentAs?: string;
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
  /** The name by which all of it was sent; null: it is unfinished. */
  sentAs: string | null;
}

export interface Journal {
  /** The upload to which the file was last sent, in exactly this state. */
  find(file: FileIdentity): Promise<Journalled | null>;
  /** An unfinished upload that `isIt` accepts, whichever file was sent to it. Prefers one to which a run is sending now. */
  findUpload(isIt: (uploadUrl: string) => boolean): Promise<Journalled | null>;
  /** Records that this process sends the file to an upload. @throws when the journal cannot be written. */
  record(file: FileIdentity, upload: JournalledUpload): Promise<void>;
  /** Records that all of the file was sent by a link, where nothing else tells a later run so. @throws as `record`. */
  recordSent(file: FileIdentity, sent: { url: string; name: string }): Promise<void>;
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
      if (journalled === null || journalled.sentAs !== null || !isIt(journalled.uploadUrl)) continue;
      if (found === null || journalled.sender === 'running') found = journalled;
    }
    return found;
  }

  return {
    find: async (file) => readEntry(await folder.read(keyOf(file))),
    findUpload,
    record: (file, { url, begunElsewhere, lifeMs }) =>
      folder.write(keyOf(file), { path: file.path, uploadUrl: url, sender: ownMark(), begunElsewhere, lifeMs }),
    recordSent: (file, { url, name }) =>
      folder.write(keyOf(file), {
        path: file.path,
        uploadUrl: url,
        sender: ownMark(),
        lifeMs: KEEP_SENT_MS,
        sentAs: name,
      }),
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
  const { uploadUrl, sender, begunElsewhere, sentAs } = entry;
  return {
    uploadUrl,
    sender: lifeOf(sender),
    begunElsewhere: begunElsewhere === true,
    sentAs: typeof sentAs === 'string' ? sentAs : null,
  };
}
