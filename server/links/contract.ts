/**
 * Links: addresses by which files can be had without an account. What the edge may call; it gets views, never rows. Refusals are
 * LinkError, and TidemarkError `not_found`, `invalid_field` and those of a catalog that cannot be reached.
 *
 * What must hold:
 * - The secret of a link is told once, when it is created. Whoever has it may have the files; nobody can guess it.
 * - A link that is revoked, or was never there, is `not_found`, in the same words.
 * - A link for n downloads is for n, however many begin at once, on however many nodes.
 */
import type { FileView } from '../uploads/contract.ts';

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
  /** How many of its files are left. */
  readonly files: number;
  /** The name of the first of them. */
  readonly firstName: string | null;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly hasPassword: boolean;
  readonly downloads: number;
  readonly mostDownloads: number | null;
  readonly lastUsedAt: number | null;
}

export interface LinkRequest {
  owner: string;
  /** Ids of the owner's files. One that is there several times counts once. */
  files: readonly string[];
  name: string | null;
  /** How long it lives; null: until it is revoked. */
  lifeMs: number | null;
  password: string | null;
  /** Null: any number. */
  mostDownloads: number | null;
}

/** What is left out stays. */
export interface LinkUpdate {
  name?: string | null;
  /** From now on. */
  lifeMs?: number | null;
  mostDownloads?: number | null;
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

/** A link as those see it who have its secret. */
export interface OpenedLink {
  readonly id: string;
  readonly name: string | null;
  readonly expiresAt: number | null;
  /** Null: any number. */
  readonly downloadsLeft: number | null;
}

/** What is downloaded: the file of a position, or all files as one archive. */
export type Target = number | 'archive';

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

export interface Links {
  /** @throws `not_found` with the field `files`, for another owner's file as for none; `too_many_links`, `passwords_busy`. */
  create(request: LinkRequest): Promise<{ link: LinkView; secret: string }>;
  /** The newest first. */
  list(query: { owner: string; limit: number; cursor?: string }): Promise<LinkPage>;
  /** @throws `not_found`, also for a link that is revoked; `too_many_links` where it had ended. */
  change(id: string, owner: string, update: LinkUpdate): Promise<LinkView>;
  /** @throws `not_found`, as `change`. */
  revoke(id: string, owner: string): Promise<void>;

  // -- for those who have the secret; `tickets` are those that they have got here --------------------------------
  /** @throws `not_found`, `link_expired`, `link_used_up`, `link_empty`, `password_required`; as the two methods below. */
  open(secret: string, tickets: readonly string[]): Promise<{ link: OpenedLink; files: readonly SharedFile[] }>;
  openFile(secret: string, position: number, tickets: readonly string[]): Promise<Offer & { file: FileView }>;
  openArchive(secret: string, tickets: readonly string[]): Promise<Offer & { fileIds: readonly string[] }>;
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
