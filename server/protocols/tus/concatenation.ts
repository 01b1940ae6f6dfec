/** tus 1.0.0, "Concatenation": partial uploads, and final uploads that join them. */
import type { IncomingHttpHeaders } from 'node:http';
import { type Declaration, MOST_PARTIALS, type UploadKind, type UploadView } from '../../uploads/contract.ts';
import { uploadPath } from '../../wire/addresses.ts';
import { hasBody } from './body.ts';
import type { Exchange, TusAnswer } from './library.ts';
import { lengthOf } from './length.ts';
import { readDeclaration } from './metadata.ts';
import { invalidHeader } from './refusals.ts';

/** What a POST asks for by its Upload-Concat. */
export type Concatenation =
  | { kind: 'partial' }
  /** `partials`: ids, in order. `value`: the header as it was received. */
  | { kind: 'final'; partials: string[]; value: string };

const FINAL = 'final;';
const UPLOAD_PATH = /(?:^|\/)uploads\/([A-Za-z0-9-]{1,64})$/;

/** Reads Upload-Concat; undefined where there is none. @throws `invalid_field`. */
export function readConcatenation({
  'upload-concat': header,
}: NodeJS.Dict<string | string[]>): Concatenation | undefined {
  if (header === undefined) return undefined;
  const value = String(header);
  if (value === 'partial') return { kind: 'partial' };
  if (!value.startsWith(FINAL)) {
    throw invalidHeader(
      'Upload-Concat',
      'Upload-Concat must be partial, or final;<address> <address> … with the addresses of partial uploads.',
    );
  }
  const addresses = value.slice(FINAL.length).split(' ').filter(Boolean);
  if (addresses.length === 0 || addresses.length > MOST_PARTIALS) {
    throw invalidHeader(
      'Upload-Concat',
      `Upload-Concat must list 1 to ${MOST_PARTIALS} partial uploads, and lists ${addresses.length}.`,
    );
  }
  return { kind: 'final', partials: addresses.map(idIn), value };
}

/**
 * The id of the upload at an address, relative or absolute. Its host and what precedes `/uploads/` are not looked at: a
 * client may reach the service by several names, and a proxy may remove a part of the path.
 */
function idIn(address: string): string {
  const id = pathOf(address)?.match(UPLOAD_PATH)?.[1];
  if (id !== undefined) return id;
  throw invalidHeader('Upload-Concat', `Upload-Concat: ${JSON.stringify(address)} is not the address of an upload.`);
}

function pathOf(address: string): string | undefined {
  if (!URL.canParse(address, 'http://tidemark/uploads')) return undefined;
  const { protocol, pathname, search, hash } = new URL(address, 'http://tidemark/uploads');
  return /^https?:$/.test(protocol) && search === '' && hash === '' ? pathname : undefined;
}

/**
 * Checks the other headers of a POST for a final upload: its length is that of its partials, and its bytes are theirs.
 *
 * @throws `invalid_field`.
 */
export function checkFinal(headers: IncomingHttpHeaders): void {
  for (const name of ['Upload-Length', 'Upload-Defer-Length']) {
    if (headers[name.toLowerCase()] === undefined) continue;
    throw invalidHeader(name, `A final upload must not have ${name}: its length is that of its partial uploads.`);
  }
  if (hasBody(headers)) {
    throw invalidHeader(
      'Upload-Concat',
      'A final upload must not have a body: its bytes are those of its partial uploads.',
    );
  }
}

/**
 * Reads what a POST creates that is no final: a file, or a partial, whose metadata are kept and returned, and mean nothing.
 *
 * @param size - declared length in bytes; null while deferred.
 * @throws `invalid_metadata`, `invalid_field`.
 */
export function readCreation(
  headers: NodeJS.Dict<string | string[]>,
  size: number | null,
): { kind: 'file' | 'partial'; declaration: Declaration } {
  const declaration = readDeclared(headers, size);
  if (readConcatenation(headers)?.kind !== 'partial') return { kind: 'file', declaration };
  const nothing = { md5: null, sha1: null, sha256: null, filename: null, filetype: null, onConflict: null };
  return { kind: 'partial', declaration: { ...declaration, ...nothing } };
}

function readDeclared(headers: NodeJS.Dict<string | string[]>, size: number | null): Declaration {
  const header = headers['upload-metadata'];
  return readDeclaration(typeof header === 'string' ? header : undefined, size);
}

/** Answers a POST for a final upload. */
export async function beginFinal(
  exchange: Exchange,
  id: string,
  { partials, value }: Extract<Concatenation, { kind: 'final' }>,
): Promise<TusAnswer> {
  const declared = readDeclared(exchange.headers, null);
  const declaration = { ...declared, metadata: noteOf(declared.metadata, value) };
  const upload = await exchange.uploads.beginFinal({ id, owner: exchange.owner, declaration, partials });
  exchange.uploadId = id;
  exchange.upload = upload;
  return { status: 201, headers: [['Location', exchange.baseUrl + uploadPath(id)], ...lengthHeaders(upload)] };
}

/** The headers of HEAD that say how far an upload is, and what it is. */
export function stateHeaders(upload: UploadView): [string, string][] {
  const { metadata, value } = readNote(upload);
  return [
    ...lengthHeaders(upload),
    ...(metadata ? [['Upload-Metadata', metadata] satisfies [string, string]] : []),
    ...(value ? [['Upload-Concat', value] satisfies [string, string]] : []),
  ];
}

function lengthHeaders(upload: UploadView): [string, string][] {
  const { kind, state, offset } = upload;
  const size = lengthOf(upload);
  const headers: [string, string][] = [];
  // "unless the concatenation has been successfully finished"
  const isJoined = kind !== 'final' || state === 'complete';
  if (isJoined) headers.push(['Upload-Offset', String(offset)]);
  if (size !== null) headers.push(['Upload-Length', String(size)]);
  else if (kind !== 'final') headers.push(['Upload-Defer-Length', '1']);
  return headers;
}

/** What this edge notes of a final: Upload-Metadata and Upload-Concat as they were received, a line for each. */
function noteOf(metadata: string, value: string): string {
  return `${metadata}\n${value}`;
}

function readNote({ kind, metadata: note }: { kind: UploadKind; metadata: string }): {
  metadata: string;
  value: string | undefined;
} {
  if (kind !== 'final') return { metadata: note, value: kind === 'partial' ? 'partial' : undefined };
  const [metadata = '', value] = note.split('\n');
  return { metadata, value };
}
