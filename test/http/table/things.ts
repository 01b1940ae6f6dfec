/** What routes are asked about: a file with its content and upload, and an upload that is not finished. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { makeBytes, md5, sha256 } from '../../harness/bytes.ts';
import { createUpload, patch, send } from '../../harness/tus.ts';
import { until } from '../../system/support.ts';
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

/** Makes a thing for the owner whose headers these are. Where the service keeps no trash, what is deleted is gone. */
export function makeThing(base: string, headers: Record<string, string>): Promise<Thing> {
  return make(base, headers, nothing(), () => true);
}

/**
 * Makes what a request is about, and nothing of a thing that it does not name: a whole one takes seventeen requests.
 *
 * @param like - whose bytes and names it has.
 */
export function makeNamed(
  base: string,
  headers: Record<string, string>,
  ask: (thing: Thing) => unknown,
  like = nothing(),
): Promise<Thing> {
  const named = fieldsReadBy(ask, nothing());
  return make(base, headers, like, (fields) => fields.some((field) => named.has(field)));
}

/** As `makeNamed`; and where the request names a SHA-1, which a busy service computes after publication, that is there. */
export async function makeKnown(
  base: string,
  headers: Record<string, string>,
  ask: (thing: Thing) => unknown,
): Promise<Thing> {
  const thing = await makeNamed(base, headers, ask);
  if (fieldsReadBy(ask, thing).has('sha1'))
    await until('its SHA-1 is there', async () =>
      (await send('GET', `${base}/api/files/${thing.fileId}`, { headers })).body.includes(thing.sha1),
    );
  return thing;
}

/** The fields of a thing that something reads of it. */
export function fieldsReadBy<T extends Thing>(read: (thing: T) => unknown, thing: T): Set<string> {
  const found = new Set<string>();
  const seen = new Proxy(thing, {
    get: (target, field, receiver) => {
      found.add(String(field));
      return Reflect.get(target, field, receiver) as unknown;
    },
  });
  read(seen);
  return found;
}

const OF_FILE = ['bytes', 'md5', 'sha1', 'sha256', 'name', 'fileId', 'uploadId', 'linkId', 'linkSecret'] as const;

/** @param needs - whether one of these fields is needed. */
async function make(
  base: string,
  headers: Record<string, string>,
  like: Thing,
  needs: (fields: readonly (keyof Thing)[]) => boolean,
): Promise<Thing> {
  const thing = { ...like };
  if (needs(OF_FILE)) {
    const { fileId, upload } = await putFile(base, thing.bytes, { filename: thing.name, md5: thing.md5 }, headers);
    Object.assign(thing, { fileId, uploadId: lastPart(upload) });
  }
  if (needs(['folder', 'folderSecret']))
    await putFile(base, thing.folder, { filename: `${thing.folder}/file` }, headers);
  if (needs(['trashedId'])) {
    thing.trashedId = (
      await putFile(base, `trash of ${thing.name}`, { filename: `trash-${thing.name}` }, headers)
    ).fileId;
    await send('DELETE', `${base}/api/files/${thing.trashedId}`, { headers });
  }
  if (needs(['deletion'])) {
    await putFile(base, `deleted ${thing.folder}`, { filename: `deleted/${thing.folder}/file` }, headers);
    const gone = await send('DELETE', `${base}/api/folders?path=deleted/${thing.folder}`, { headers });
    thing.deletion = json<{ deletion?: string }>(gone).deletion ?? thing.deletion;
  }
  if (needs(['openId', 'openMd5'])) {
    const open = freshBytes();
    const labels = { filename: `open-${thing.name}`, md5: md5(open) };
    const location = await createUpload(base, SIZE, labels, headers);
    await sendHalf(location, open, headers);
    Object.assign(thing, { openId: lastPart(location), openMd5: md5(open) });
  }
  await makeLinks(base, headers, thing, needs);
  return thing;
}

async function makeLinks(
  base: string,
  headers: Record<string, string>,
  thing: Thing,
  needs: (fields: readonly (keyof Thing)[]) => boolean,
): Promise<void> {
  if (needs(['linkId', 'linkSecret'])) {
    const { id, url } = await makeLink(base, { files: [thing.fileId] }, headers);
    Object.assign(thing, { linkId: id, linkSecret: lastPart(url) });
  }
  if (needs(['folderSecret'])) {
    const { url } = await makeLink(base, { folders: [thing.folder] }, headers);
    thing.folderSecret = lastPart(url);
  }
  if (!needs(['requestId', 'requestSecret', 'sentId'])) return;
  const { id, url } = await makeLink(base, { kind: 'upload', folder: `sent-${thing.folder}` }, headers);
  Object.assign(thing, { requestId: id, requestSecret: lastPart(url) });
  if (!needs(['sentId'])) return;
  const sent = await createUpload(url, SIZE, { filename: `sent-${thing.name}` });
  await sendHalf(sent, freshBytes(), {});
  thing.sentId = lastPart(sent);
}

async function sendHalf(location: string, bytes: Buffer, headers: Record<string, string>): Promise<void> {
  const { status, body } = await patch(location, 0, bytes.subarray(0, HALF), headers);
  if (status !== 204) throw new Error(`PATCH ${location}: ${status} ${body}`);
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
