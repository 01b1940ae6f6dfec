/** The JSON of `/check`: whether the service has a content already, or is receiving it, and a proof that the asker has it. */
import type { FileJson, OnConflictJson } from './files.ts';

export type CheckJson =
  /** The service has it, and the asker too. `file` is the asker's; left out while the asker has no file of it. */
  | { status: 'exists'; url: string; file?: FileJson }
  /** `uploading`: bytes of an upload of the asker's arrived within the last 30 seconds. `challenge`: with `prove` alone. */
  | { status: 'notfound' | 'uploading'; resume?: ResumeJson; challenge?: ChallengeJson };

/** The bytes by which the asker can prove to have the content, whether it is here or not. */
export interface ChallengeJson {
  /** Names the challenge, and is the key of its codes. */
  token: string;
  /** From the first byte of each to the one after its last. */
  ranges: [start: number, end: number][];
  expiresInSeconds: number;
}

/** The body of `POST /check`. */
export interface ProofJson {
  md5: string;
  size: number;
  sha256: string;
  /** Where the service has the content, it becomes a file of the asker's with this name. */
  filename?: string;
  /** What becomes of another file that has the name. */
  onconflict?: OnConflictJson;
  /** Of the challenge. */
  token: string;
  /** Of each range, in their order, the first 16 hexadecimal digits of the HMAC-SHA256 of its bytes; the key is the token, as a text. */
  codes: string[];
}

/** An unfinished upload of the asker. */
export interface ResumeJson {
  url: string;
  offset: number;
  /** Null while its length is not declared. */
  length: number | null;
  /** Whole seconds since its last byte arrived. Older releases of the service leave it out. */
  idle?: number;
}
