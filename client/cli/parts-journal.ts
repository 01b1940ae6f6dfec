/** The journal of files that are sent in parts, from which a later run resumes each part. */
import { join } from 'node:path';
import { keepEntryForMs } from '../core/journal-life.ts';
import { isUploadAddress } from '../core/addresses.ts';
import { type PartRow, readPartRows } from '../core/upload-parts.ts';
import { createRecordFolder, type RecordFolder, stateFolder } from './atomic-file.ts';
import { journalKey, KEEP_MS } from './journal.ts';
import type { FileIdentity } from './local-file.ts';
import { lifeOf, ownMark } from './process-mark.ts';
import type { Life } from './process-mark.ts';

interface PartsEntry {
  /** See `journalKey`. */
  key: string[];
  /** Of the whole file. */
  sha256: string;
  parts: PartRow[];
  /** The final upload that joins the parts; null before there is one. */
  finalUrl: string | null;
  /** Mark of the process that sends the parts, or has sent them; see process-mark.ts. */
  sender: string;
  /** How long the service keeps a part without another byte; null where it did not report that. */
  lifeMs: number | null;
}

/** What is known of a file that is sent in parts. */
export interface JournalledParts {
  parts: PartRow[];
  finalUrl: string | null;
  lifeMs: number | null;
}

export interface PartsJournal {
  /** The parts of the file in exactly this state, and whether the run that recorded them is still running; null without any. */
  find(): Promise<(JournalledParts & { sender: Life }) | null>;
  /** The parts that ended runs have left of earlier states of the file. They are of no use any more; forgets them. */
  takeOutdated(): Promise<PartRow[]>;
  /**
   * Records that this process is going to send the file in parts: runs that come later wait for it. Of several that try, one
   * succeeds. @throws when it cannot be written.
   */
  claim(): Promise<boolean>;
  /** Drops the claim, where no parts have been recorded since. */
  unclaim(): Promise<void>;
  /** Records that this process sends these parts. Calls may overlap: the last one counts. @throws when it cannot be written. */
  record(state: JournalledParts): Promise<void>;
  forget(): Promise<void>;
}

/** Removes the entries of parts that the service no longer has. */
export function prunePartsJournal(): Promise<void> {
  return openFolder().prune(KEEP_MS, ({ lifeMs }) => keepEntryForMs(KEEP_MS, lifeMs));
}

/** @param sha256 - of the whole file. */
export function createPartsJournal(serverUrl: string, file: FileIdentity, sha256: string): PartsJournal {
  const folder = openFolder();
  const key = journalKey(serverUrl, file);
  /** One write after the other: the last state is the one that stays. */
  let last: Promise<void> = Promise.resolve();
  let isClaimOnly = false;

  async function find(): Promise<(JournalledParts & { sender: Life }) | null> {
    const entry = await folder.read(key);
    if (entry?.sha256 !== sha256) return null;
    const parts = readPartRows(entry.parts);
    const { finalUrl, lifeMs } = entry;
    const sender = lifeOf(entry.sender);
    if (parts.length === 0 && sender !== 'running') return null;
    return { parts, finalUrl: isUploadAddress(finalUrl) ? finalUrl : null, lifeMs, sender };
  }

  async function claim(): Promise<boolean> {
    const entry: PartsEntry = { key, sha256, parts: [], finalUrl: null, sender: ownMark(), lifeMs: null };
    isClaimOnly = await folder.claim(key, entry);
    if (isClaimOnly || (await find()) !== null) return isClaimOnly;
    // The claim of a run that has ended, or a damaged entry: nobody can make use of it.
    await folder.remove(key);
    isClaimOnly = await folder.claim(key, entry);
    return isClaimOnly;
  }

  async function unclaim(): Promise<void> {
    if (isClaimOnly) await forget();
  }

  async function takeOutdated(): Promise<PartRow[]> {
    const outdated: PartRow[] = [];
    for (const entry of await folder.list()) {
      const isSameFile = Array.isArray(entry.key) && entry.key[0] === serverUrl && entry.key[1] === file.path;
      const isOfThisState = entry.sha256 === sha256 && String(entry.key) === String(key);
      if (!isSameFile || isOfThisState || lifeOf(entry.sender) !== 'ended') continue;
      outdated.push(...readPartRows(entry.parts));
      await folder.remove(entry.key);
    }
    return outdated;
  }

  function record({ parts, finalUrl, lifeMs }: JournalledParts): Promise<void> {
    const entry = { key, sha256, parts, finalUrl, sender: ownMark(), lifeMs };
    isClaimOnly = false;
    last = last.catch(() => {}).then(() => folder.write(key, entry));
    return last;
  }

  async function forget(): Promise<void> {
    await last.catch(() => {});
    await folder.remove(key);
  }

  return { find, takeOutdated, claim, unclaim, record, forget };
}

function openFolder(): RecordFolder<PartsEntry> {
  return createRecordFolder<PartsEntry>(join(stateFolder(), 'parts'), { durable: true });
}
