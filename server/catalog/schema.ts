/** The catalog's tables as Kysely sees them. The migrations of each dialect create them. */
import type { Generated } from 'kysely';
import type { Asked, EventKind, LinkKind, Phase, UploadKind, UploadState } from './catalog.ts';

export interface Tables {
  contents: ContentsTable;
  folders: FoldersTable;
  files: FilesTable;
  owner_totals: OwnerTotalsTable;
  uploads: UploadsTable;
  parts: PartsTable;
  final_partials: FinalPartialsTable;
  removals: RemovalsTable;
  events: EventsTable;
  forgotten_events: ForgottenEventsTable;
  meta: MetaTable;
  nodes: NodesTable;
  claims: ClaimsTable;
  asks: AsksTable;
  links: LinksTable;
  link_files: LinkFilesTable;
  trash: TrashTable;
  trash_links: TrashLinksTable;
  trash_totals: OwnerTotalsTable;
  link_folders: LinkFoldersTable;
  trash_link_folders: TrashLinkFoldersTable;
}

export interface ContentsTable {
  /** Never used twice: a publication names the content that it found a moment ago, which may be deleted by then. */
  id: Generated<number>;
  md5: string;
  sha1: string | null;
  sha256: string | null;
  size: number;
  variant: number;
  key: string;
  published_at: number;
  /** See `Proof`. */
  proof: Generated<string | null>;
  seal: Generated<string | null>;
}

/** Triggers maintain the totals, and delete a folder with the last file below it. */
export interface FoldersTable {
  /** Never used twice. */
  id: Generated<number>;
  owner: string;
  /** 0: it is at the top. */
  parent_id: number;
  name: string;
  folded_name: string;
  /** All below it. */
  files: Generated<number>;
  bytes: Generated<number>;
}

export interface FilesTable {
  id: string;
  owner: string;
  /** The last part of the path. */
  name: string;
  /** The name as it is sorted and searched by; see `foldName`. */
  folded_name: string;
  type: string | null;
  uploaded_at: number;
  content_id: number;
  /** The content's size, here so that an index can sort an owner's files by it. */
  size: number;
  /** Null: it is at the top. */
  folder_id: Generated<number | null>;
}

/** Totals of the rows of `files`, or of `trash`, which triggers maintain. An owner without files need not have a row. */
export interface OwnerTotalsTable {
  owner: string;
  files: number;
  bytes: number;
}

export interface UploadsTable {
  id: string;
  owner: string;
  kind: Generated<UploadKind>;
  state: UploadState;
  size: number | null;
  md5: string | null;
  sha1: string | null;
  sha256: string | null;
  filename: string | null;
  filetype: string | null;
  on_conflict: Generated<'replace' | null>;
  metadata: string;
  offset: number;
  snapshot: Uint8Array | null;
  epoch: number;
  /** The node that has the lease, or had it last. */
  holder: string | null;
  phase: Phase | null;
  /** The store's note; only the store reads it. */
  store_state: string | null;
  reason: string | null;
  /** The file that the upload became: the row is deleted with it. */
  file_id: string | null;
  /** The announced length of an upload that its last byte does not complete. */
  expected_size: number | null;
  created_at: number;
  last_byte_at: number;
  expires_at: number;
  /** When it was rejected, expired or terminated; null in the other states. */
  ended_at: number | null;
  /** Of an upload by a link: which link, who sends it, and what they say about it. */
  link_id: Generated<string | null>;
  sender: Generated<string | null>;
  note: Generated<string | null>;
}

export interface PartsTable {
  upload_id: string;
  number: number;
  start: number;
  size: number;
  etag: string;
  snapshot: Uint8Array;
}

/** Which uploads a final joins. The rows go when it has ended. */
export interface FinalPartialsTable {
  final_id: string;
  /** From 1. */
  position: number;
  partial_id: string;
}

export interface RemovalsTable {
  /** In the order in which the keys were added. */
  id: Generated<number>;
  key: string;
  md5: string | null;
  /** Which node removes the bytes now. */
  node: string | null;
  /** By the catalog's clock. */
  until: number | null;
}

export interface EventsTable {
  /** In the order of the transactions; never used twice. */
  number: Generated<number>;
  owner: string;
  kind: EventKind;
  at: number;
  file_id: string;
  name: string;
  type: string | null;
  uploaded_at: number;
  content_id: number;
  md5: string;
  size: number;
  /** Of a folder's event, in which `name` is its path, and what is said of a file is empty. */
  moved_from: Generated<string | null>;
}

/** The last forgotten event of each owner. */
export interface ForgottenEventsTable {
  owner: string;
  number: number;
}

export interface MetaTable {
  key: string;
  value: string;
}

export interface NodesTable {
  id: string;
  name: string;
  version: string;
  process: string | null;
  /** 0 or 1. */
  is_alone: number;
  started_at: number;
  /** By the catalog's clock. */
  seen_at: number;
}

/** Work in the background that one node does at a time. */
export interface ClaimsTable {
  name: string;
  node: string;
  /** By the catalog's clock. */
  until: number;
}

/** What a node is asked about uploads that it holds, until its next heartbeat. They go with the node. */
export interface AsksTable {
  node: string;
  upload_id: string;
  what: Asked;
  /** Of the lease that is meant. */
  epoch: number;
}

/** Addresses by which files can be had, or sent, without an account. */
export interface LinksTable {
  id: string;
  owner: string;
  kind: LinkKind;
  /** SHA-256 of the secret, which is kept nowhere. */
  secret_hash: string;
  name: string | null;
  created_at: number;
  expires_at: number | null;
  /** Opaque here; only server/links reads it. */
  password: string | null;
  /** Attempts since the last pause. */
  wrong_passwords: Generated<number>;
  /** Until then no password is tried. */
  waits_until: number | null;
  most_downloads: number | null;
  downloads: Generated<number>;
  revoked_at: number | null;
  last_used_at: number | null;
  /** When a job noticed that it has no file left. */
  empty_since: number | null;
  // Of an upload link:
  folder: Generated<string | null>;
  most_bytes: Generated<number | null>;
  most_files: Generated<number | null>;
  most_file_bytes: Generated<number | null>;
  /** A JSON array; only server/links reads it. */
  types: Generated<string | null>;
  /** Triggers count what is sent by it. */
  sent_files: Generated<number>;
  sent_bytes: Generated<number>;
}

/** The files of a link. A row goes with its link, and with its file. */
export interface LinkFilesTable {
  link_id: string;
  /** From 1; never another file's. */
  position: number;
  file_id: string;
}

/** Deleted files that can be restored. */
export interface TrashTable {
  /** The file's. */
  id: string;
  owner: string;
  /** The whole path. */
  name: string;
  type: string | null;
  uploaded_at: number;
  content_id: number;
  size: number;
  /** By the catalog's clock. */
  deleted_at: number;
  /** Of the folder that it was deleted with. */
  deletion: string | null;
  /** How many parts of its path were those of that folder. */
  depth: number | null;
}

/** The links that files in the trash were in. A row goes with its file; its link may be gone. */
export interface TrashLinksTable {
  link_id: string;
  position: number;
  file_id: string;
}

/** The folders of a link. A row goes with its link, and with its folder. */
export interface LinkFoldersTable {
  link_id: string;
  /** From 1, in one order with the files; never another one's. */
  position: number;
  folder_id: number;
}

/** The places in links that folders above a file in the trash had. A row goes with its file; its link may be gone. */
export interface TrashLinkFoldersTable {
  file_id: string;
  link_id: string;
  position: number;
  /** How many parts the folder's path has. */
  depth: number;
}
