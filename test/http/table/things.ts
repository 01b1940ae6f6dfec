/** What routes are asked about: a file with its content and upload, and an upload that is not finished. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { makeBytes, md5, sha256 } from '../../harness/bytes.ts';
import { createUpload, patch, send } from '../../harness/tus.ts';
import { json, putFile } from '../support.ts';

export interface Thing {
  bytes: Buffer;
  md5: string;
  sha1: string;
  sha256: string;
  /** No other file is called so. */
  name: string;
  /** A folder with a file of other bytes. */
  folder: string;
  fileId: string;
  /** Of a file of other bytes that is in the trash. */
  trashedId: string;
  /** Of the deletion of a folder. */
  deletion: string;
  /** Of the upload that the file came by. */
  uploadId: string;
  /** Of an upload of other bytes that has HALF of them. */
  openId: string;
  /** Of a link to the file. */
  linkId: string;
  linkSecret: string;
  /** Of a link to the folder. */
  folderSecret: string;
  /** Of a link by which files are sent. */
  requestId: string;
  requestSecret: string;
  /** Of an upload by that link that has HALF of its bytes. */
  sentId: string;
  /** Digest of what the open upload is to become. */
  openMd5: string;
}

export const SIZE = 200;
export const HALF = 100;

let seed = 90_000;

/** Bytes that no client has sent. */
export function freshBytes(): Buffer {
  seed += 1;
  return makeBytes(SIZE, seed);
}

/** A thing that does not exist, with bytes that no client has sent. */
export function nothing(): Thing {
  const bytes = freshBytes();
  return {
    bytes,
    md5: md5(bytes),
    sha1: sha1(bytes),
    sha256: sha256(bytes),
    name: nameOf(bytes),
    folder: `folder-of-${nameOf(bytes)}`,
    fileId: randomUUID(),
    trashedId: randomUUID(),
    deletion: randomUUID(),
    uploadId: randomUUID(),
    openId: randomUUID(),
    linkId: randomUUID(),
    linkSecret: randomBytes(24).toString('base64url'),
    folderSecret: randomBytes(24).toString('base64url'),
    requestId: randomUUID(),
    requestSecret: randomBytes(24).toString('base64url'),
    sentId: randomUUID(),
    openMd5: md5(freshBytes()),
  };
}

/**
 * Makes a thing for the owner whose headers these are. Where the service keeps no trash, what is deleted is gone.
 *
 * @param like - whose bytes and names it has.
 */
export async function makeThing(base: string, headers: Record<string, string>, like = nothing()): Promise<Thing> {
  const [thing, open] = [like, freshBytes()];
  const { fileId, upload } = await putFile(base, thing.bytes, { filename: thing.name, md5: thing.md5 }, headers);
  await putFile(base, thing.folder, { filename: `${thing.folder}/file` }, headers);
  const trashedId = (await putFile(base, `trash of ${thing.name}`, { filename: `trash-${thing.name}` }, headers))
    .fileId;
  await send('DELETE', `${base}/api/files/${trashedId}`, { headers });
  await putFile(base, `deleted ${thing.folder}`, { filename: `deleted/${thing.folder}/file` }, headers);
  const gone = await send('DELETE', `${base}/api/folders?path=deleted/${thing.folder}`, { headers });
  const { deletion = thing.deletion } = json<{ deletion?: string }>(gone);
  const location = await createUpload(base, SIZE, { filename: `open-${thing.name}`, md5: md5(open) }, headers);
  const half = await patch(location, 0, open.subarray(0, HALF), headers);
  if (half.status !== 204) throw new Error(`PATCH ${location}: ${half.status} ${half.body}`);
  const link = await makeLink(base, { files: [fileId] }, headers);
  const folderLink = await makeLink(base, { folders: [thing.folder] }, headers);
  const request = await makeLink(base, { kind: 'upload', folder: `sent-${thing.folder}` }, headers);
  const sent = await createUpload(request.url, SIZE, { filename: `sent-${thing.name}` });
  const begun = await patch(sent, 0, freshBytes().subarray(0, HALF));
  if (begun.status !== 204) throw new Error(`PATCH ${sent}: ${begun.status} ${begun.body}`);
  return {
    ...thing,
    fileId,
    trashedId,
    deletion,
    uploadId: lastPart(upload),
    openId: lastPart(location),
    openMd5: md5(open),
    linkId: link.id,
    linkSecret: lastPart(link.url),
    folderSecret: lastPart(folderLink.url),
    requestId: request.id,
    requestSecret: lastPart(request.url),
    sentId: lastPart(sent),
  };
}

async function makeLink(
  base: string,
  given: object,
  headers: Record<string, string>,
): Promise<{ id: string; url: string }> {
  const made = await send('POST', `${base}/api/links`, {
    headers: { ...headers, 'Content-Type': 'application/json' },
    body: JSON.stringify(given),
  });
  return json<{ id: string; url: string }>(made);
}

export function lastPart(address: string): string {
  return address.slice(address.lastIndexOf('/') + 1);
}

function nameOf(bytes: Buffer): string {
  return `${createHash('sha512').update(bytes).digest('base64url').slice(0, 8)}.txt`;
}

function sha1(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex');
}
