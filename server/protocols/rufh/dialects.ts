/**
 * The dialects of "Resumable Uploads for HTTP" (draft-ietf-httpbis-resumable-upload). A client names its draft's interop
 * version with every request. All that differs between the drafts is in this table.
 */

/** How a dialect differs from the others, for a server. */
export interface Dialect {
  /** The interop version, as clients send it in Upload-Draft-Interop-Version. */
  readonly version: number;
  /** The field that says whether a request completes the upload. In drafts 0 and 1 it said the opposite. */
  readonly completion: 'Upload-Complete' | 'Upload-Incomplete';
  /** Appends have the media type application/partial-upload. */
  readonly hasMediaType: boolean;
  /** Upload-Length is a field of this draft. */
  readonly hasLength: boolean;
  /** An append without the field of completion completes the upload. */
  readonly completesByDefault: boolean;
  /** The key of Upload-Limit for the time that is left. */
  readonly ageKey: 'max-age' | 'expires';
  /** The status of an append that does not complete the upload. */
  readonly appendedStatus: 201 | 204;
  /** The answer that completes a creation still has the upload's address in Location, and not that of what it became. */
  readonly locatesUpload: boolean;
  /** Requests for the state, and cancellations, must not have fields of an append. */
  readonly refusesFieldsOfAppends: boolean;
  /** An append to a complete upload is refused; later drafts let a server repeat the last answer. */
  readonly refusesWhenComplete: boolean;
}

const NEWEST: Dialect = {
  version: 10,
  completion: 'Upload-Complete',
  hasMediaType: true,
  hasLength: true,
  completesByDefault: false,
  ageKey: 'max-age',
  appendedStatus: 204,
  locatesUpload: false,
  refusesFieldsOfAppends: false,
  refusesWhenComplete: false,
};
/** Drafts 9 to 11. */
const EIGHT: Dialect = { ...NEWEST, version: 8, refusesWhenComplete: true };
/** Drafts 4 and 5: what Apple's systems and tus-js-client speak. */
const SIX: Dialect = {
  ...EIGHT,
  version: 6,
  completesByDefault: true,
  ageKey: 'expires',
  appendedStatus: 201,
  locatesUpload: true,
  refusesFieldsOfAppends: true,
};
/** Draft 3. */
const FIVE: Dialect = { ...SIX, version: 5, hasMediaType: false, hasLength: false };

/** Every dialect that the service speaks, the newest first. */
export const DIALECTS: readonly Dialect[] = [
  NEWEST,
  { ...NEWEST, version: 9 },
  EIGHT,
  { ...EIGHT, version: 7 },
  SIX,
  FIVE,
  { ...FIVE, version: 4 },
  { ...FIVE, version: 3, completion: 'Upload-Incomplete' },
];

/** The dialect of an interop version; undefined where the service does not speak it. */
export function dialectOf(version: number | undefined): Dialect | undefined {
  return DIALECTS.find((dialect) => dialect.version === version);
}
