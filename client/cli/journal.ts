/** Records unfinished transfers, so that a later run resumes them. */
import { join } from 'node:path';
import { createRecordFolder, stateFolder } from './atomic-file.ts';
import type { FileIdentity } from './local-file.ts';
import { lifeOf, ownMark } from './process-mark.ts';
import type { Life } from './process-mark.ts';

/** Longer than any service keeps an unfinished upload by default (a day). */
const KEEP_MS = 7 * 24 * 3600 * 1000;

interface JournalEntry {
  path: string;
  uploadUrl: string;
  /** The process that sends, or sent. */
  sender: string;
  /** Missing in the entries of earlier releases. */
  begunElsewhere?: boolean;
}

export interface Journalled {
  uploadUrl: string;
  /** Of the run that wrote it. */
  sender: Life;
  /** Another client began it, and a run of ours has resumed it. */
  begunElsewhere: boolean;
}

export interface Journal {
  /** The upload that this very state of the file was last sent to. */
  find(file: FileIdentity): Promise<Journalled | null>;
  /** The upload that `isIt` finds among all, whichever file was sent to it; one that is being sent to before others. */
  findUpload(isIt: (uploadUrl: string) => boolean): Promise<Journalled | null>;
  /** From now on this process sends the file there. */
  record(file: FileIdentity, upload: { url: string; begunElsewhere: boolean }): Promise<void>;
  forget(file: FileIdentity): Promise<void>;
  prune(): Promise<void>;
}

/** The journal of uploads to one server. */
export function createJournal(serverUrl: string): Journal {
  const folder = createRecordFolder<JournalEntry>(join(stateFolder(), 'uploads'), { durable: true });
  // The key has all of it: a changed file has another key, and never resumes an older upload.
  const keyOf = (file: FileIdentity): string[] => [
    serverUrl,
    file.path,
    String(file.size),
    file.mtimeNs,
    file.ctimeNs,
    file.inode,
  ];

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
    record: (file, { url, begunElsewhere }) =>
      folder.write(keyOf(file), { path: file.path, uploadUrl: url, sender: ownMark(), begunElsewhere }),
    forget: (file) => folder.remove(keyOf(file)),
    prune: () => folder.prune(KEEP_MS),
  };
}

function readEntry(entry: JournalEntry | null): Journalled | null {
  if (typeof entry?.uploadUrl !== 'string') return null;
  const { uploadUrl, sender, begunElsewhere } = entry;
  return { uploadUrl, sender: lifeOf(sender), begunElsewhere: begunElsewhere === true };
}
