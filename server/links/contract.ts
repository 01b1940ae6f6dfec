/**
 * Links: addresses by which files can be had, or sent, without an account. What the edge may call; it gets views, never rows.
 * Refusals are LinkError, and TidemarkError `not_found`, `invalid_field` and those of a catalog that cannot be reached.
 *
 * What must hold:
 * - The secret of a link is told once, when it is created. Whoever has it may have the files; nobody can guess it.
 * - A link that is revoked, or was never there, is `not_found`, in the same words.
 * - A link for n downloads is for n, however many begin at once, on however many nodes; and one for n files, or bytes, takes no
 *   more.
 * - Who sends files by a link learns nothing of the owner's, nor of what others send by it.
 */
import type { LinkKind } from '../catalog/catalog.ts';
import type { Sent, SentUpload, Taken, UploadLimits, UploadTerms } from '../catalog/sent-uploads.ts';
import type { FileView, PackedFile, Uploads } from '../uploads/contract.ts';

export type { LinkKind } from '../catalog/catalog.ts';
export type { SentUpload, UploadLimits, UploadTerms } from '../catalog/sent-uploads.ts';

/** The most files of one link. */
export const MOST_LINKED = 1000;
/** The most links of one owner that have not ended. */
export const MOST_LINKS = 10_000;
/** A password, in characters. With the pause after wrong ones, the shortest takes years to guess. */
export const LEAST_PASSWORD = 6;
export const MOST_PASSWORD = 256;
/** A link is forgotten so long after it ended. */
export const REMEMBER_LINKS_MS = 30 * 24 * 3_600_000;

export type LinkState = 'active' | 'expired' | 'used_up' | 'empty' | 'revoked';

/** A link as its owner sees it. */
export interface LinkView {
  readonly id: string;
  readonly state: LinkState;
  readonly name: string | null;
  /** How many of its files are left, with those in its folders. */
  readonly files: number;
  readonly folders: number;
  /** The name of the first of its files, without those in folders. */
  readonly firstName: string | null;
  readonly firstFolder: string | null;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly hasPassword: boolean;
  readonly downloads: number;
  readonly mostDownloads: number | null;
  readonly lastUsedAt: number | null;
  readonly kind: LinkKind;
  /** Of an upload link: what it takes, and has taken. Else null. */
  readonly upload: (UploadTerms & Taken) | null;
}

export interface LinkRequest {
  owner: string;
  /** Ids of the owner's files. One that is there several times counts once. */
  files: readonly string[];
  /** Paths of the owner's folders: the link has what is in them when it is opened. */
  folders: readonly string[];
  name: string | null;
  /** How long it lives; null: until it is revoked. */
  lifeMs: number | null;
  password: string | null;
  /** Null: any number. */
  mostDownloads: number | null;
  /** Makes it an upload link, which has no files. */
  upload?: UploadTerms;
}

/** What is left out stays. */
export interface LinkUpdate {
  name?: string | null;
  /** From now on. */
  lifeMs?: number | null;
  /** Of a download link. */
  mostDownloads?: number | null;
  /** Of an upload link. */
  limits?: Partial<UploadLimits>;
}

export interface LinkPage {
  readonly links: readonly LinkView[];
  readonly nextCursor: string | null;
}

/** A file of a link, by the position that it keeps. */
export interface SharedFile {
  readonly position: number;
  readonly file: FileView;
}

/** A folder of a link, by the position that it keeps. */
export interface SharedFolder {
  readonly position: number;
  /** Without the folders that it is in, which are the owner's affair. */
  readonly name: string;
  readonly files: number;
  readonly bytes: number;
}

/** One level of a folder of a link. Names are paths that begin with the name of that folder. */
export interface SharedLevel {
  readonly name: string;
  readonly folders: readonly Omit<SharedFolder, 'position'>[];
  readonly files: readonly { readonly name: string; readonly file: FileView }[];
  /** With what the next page begins; null on the last one. */
  readonly next: LevelPlace | null;
}

/** A page of a level comes after the folder, or the file, of this name. */
export interface LevelPlace {
  among: 'folders' | 'files';
  name: string;
}

/** Where something in a folder of a link is. */
export interface InFolder {
  /** Of the folder. */
  position: number;
  /** From that folder on; empty: the folder itself. */
  path: string;
}

/** A link as those see it who have its secret. */
export interface OpenedLink {
  readonly id: string;
  readonly name: string | null;
  readonly expiresAt: number | null;
  /** Null: any number. */
  readonly downloadsLeft: number | null;
  /** Of an upload link; else null. */
  readonly upload: OpenedTerms | null;
}

/** What an upload link still takes. Null: any number. */
export interface OpenedTerms {
  readonly bytesLeft: number | null;
  readonly filesLeft: number | null;
  readonly mostFileBytes: number | null;
  readonly types: readonly string[] | null;
}

/** What senders say of themselves, for the owner. */
export interface SaidBySender {
  readonly sender: string | null;
  readonly note: string | null;
}

/** What somebody may do who sends files by a link. */
export interface Sending {
  /** The uploads of this sender, in place of the owner's. */
  readonly uploads: Uploads;
  /** The file that an upload of the sender's became, without what tells of the owner. @param uploadId - stands for the file. */
  readonly fileOf: (uploadId: string) => Promise<FileView>;
}

export interface SentPage {
  readonly uploads: readonly SentUpload[];
  readonly nextCursor: string | null;
}

/** What is downloaded: the file of a position, a file in a folder, or all files as one archive. */
export type Target = number | { fileId: string } | 'archive';

/** What an archive of a link has. */
export interface SharedArchive {
  readonly owner: string;
  /** How many files: memory is taken in proportion to that. */
  readonly count: number;
  /**
   * They themselves: what is in the folders of the link at the moment of the call, wherever those are by then, and the single files.
   * Names in folders begin with that of the link's folder; those of single files are paths from the folder that has all of them.
   * A file that is in two of the folders is there twice, as those see it who open the link.
   *
   * @param most - no more are read.
   */
  list(most: number): Promise<PackedFile[]>;
}

/** A download that may begin. */
export interface Begun {
  /** Allows to continue this download, and asks for no password meanwhile. Null where no such leave is needed. */
  readonly ticket: string | null;
  /** To be called where not a byte was sent. */
  giveBack(): Promise<void>;
}

/** Something to download. */
export interface Offer {
  readonly link: OpenedLink;
  /**
   * To be called before the first byte is sent.
   *
   * @param what - `whole`: a new download. `beginning`: a part from the first byte on; `rest`: a later part. A part counts only
   *   where the caller has no ticket of an earlier one. `look`: a preview, which counts as a download where those are limited.
   * @throws `link_used_up`, `link_expired`, `not_found`.
   */
  begin(what: 'whole' | 'beginning' | 'rest' | 'look'): Promise<Begun>;
}

/** A ticket, and how long it is good for. */
export interface Ticket {
  readonly text: string;
  readonly lifeMs: number;
}

/** A link with all that it has itself. */
export interface Opened {
  readonly link: OpenedLink;
  readonly files: readonly SharedFile[];
  readonly folders: readonly SharedFolder[];
  /** In place of the one that opened it. */
  readonly ticket: Ticket | null;
}

export interface Links {
  /** @throws `not_found` with the field `files`, for another owner's file as for none; `too_many_links`, `passwords_busy`. */
  create(request: LinkRequest): Promise<{ link: LinkView; secret: string }>;
  /** The newest first. */
  list(query: { owner: string; limit: number; cursor?: string }): Promise<LinkPage>;
  /** @throws `not_found`, also for a link that is revoked; `too_many_links` where it had ended. */
  change(id: string, owner: string, update: LinkUpdate): Promise<LinkView>;
  /** @throws `not_found`, as `change`. */
  revoke(id: string, owner: string): Promise<void>;
  /** Ends the unfinished uploads of a revoked link. Never throws: a job ends what is left. */
  endSent(id: string, uploads: Uploads, signal: AbortSignal): Promise<void>;
  /** Who has sent these files by links, by their ids. @param fileIds - of files that the asker may see. */
  sendersOf(fileIds: readonly string[]): Promise<ReadonlyMap<string, Sent>>;
  /** What was sent by an upload link, the newest first. @throws `not_found` where the owner has no such link. */
  listSent(id: string, owner: string, page: { limit: number; cursor?: string }): Promise<SentPage>;

  // -- for those who have the secret; `tickets` are those that they have got here --------------------------------
  /**
   * @returns also a new ticket for an upload link with a password: senders who look at it now and then are not asked again, however
   *   long their files take.
   * @throws `not_found`, `link_expired`, `link_used_up`, `link_empty`, `password_required`; as the three methods that follow.
   */
  open(secret: string, tickets: readonly string[]): Promise<Opened>;
  /** @param page - `after` null: the first one. */
  openLevel(
    secret: string,
    at: InFolder,
    page: { after: LevelPlace | null; limit: number },
    tickets: readonly string[],
  ): Promise<{ link: OpenedLink; level: SharedLevel }>;
  /** @param at - a position of a file; or where in a folder it is. */
  openFile(secret: string, at: number | InFolder, tickets: readonly string[]): Promise<Offer & { file: FileView }>;
  openArchive(secret: string, tickets: readonly string[]): Promise<Offer & { archive: SharedArchive }>;
  /**
   * What a sender may do by an upload link. A new upload needs the ticket of the link's password; one that was begun needs its id.
   *
   * @param uploads - of all owners.
   * @throws nothing; but what is returned throws `not_found`, `link_closed`, `password_required`, and the limits' own codes.
   */
  sending(uploads: Uploads, secret: string, tickets: readonly string[], said: SaidBySender): Sending;
  /**
   * Checks a password.
   *
   * @returns a ticket; null where the link has no password.
   * @throws `wrong_password`, `too_many_attempts`; `passwords_busy`, and it was no attempt; `not_found`, `link_expired`,
   *   `link_used_up`, `link_empty`.
   */
  unlock(secret: string, password: string): Promise<{ linkId: string; ticket: Ticket | null }>;
}

/** How long tickets are good for: one for a download as long as that may take, with breaks. */
export const DOWNLOAD_TICKET_MS = 24 * 3_600_000;
export const PASSWORD_TICKET_MS = 3_600_000;
