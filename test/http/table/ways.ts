/** The ways by which bytes get a name and other labels, and by which a file is given another name. */
import { md5 } from '../../harness/bytes.ts';
import { encodeMetadata, patch, send, TUS, type Answer } from '../../harness/tus.ts';
import { json, putFile } from '../support.ts';
import { ask } from './ask.ts';
import { formOf } from './forms.ts';
import type { Thing } from './things.ts';

export type Label = 'filetype' | 'md5' | 'sha1' | 'sha256';

export interface FileJson {
  id: string;
  name: string;
  type: string | null;
}

/** Bytes, and what is said about them; what a way does not take is not said. */
export interface Sending extends Partial<Record<Label, string>> {
  bytes: Buffer;
  filename: string;
}

export interface Taken {
  answer: Answer;
  /** The name that the answer tells. */
  told: string | undefined;
}

export interface Way {
  /** Titles of the rows of the table that it goes by. */
  of: readonly string[];
  title: string;
  labels: readonly Label[];
  /** A browser writes the name: quotes and line ends as it does. */
  asBrowsersWrite?: true;
  /** What a file is called whose name says nothing. */
  unnamed(bytes: Buffer): string;
  send(base: string, sending: Sending): Promise<Taken>;
}

const UPLOAD_LABELS = ['filetype', 'md5', 'sha1', 'sha256'] as const;

function creation({ bytes, ...labels }: Sending): Record<string, string> {
  return { ...TUS, 'Upload-Length': String(bytes.length), 'Upload-Metadata': encodeMetadata({ ...labels }) };
}

function queryOf({ filename, md5: digest, sha256 }: Sending, withName: boolean): string {
  return new URLSearchParams({
    ...(withName ? { filename } : {}),
    ...(digest === undefined ? {} : { md5: digest }),
    ...(sha256 === undefined ? {} : { sha256 }),
  }).toString();
}

function nameInHeader({ headers }: Answer): string | undefined {
  const header = headers['tidemark-file-name'];
  return typeof header === 'string' ? decodeURIComponent(header) : undefined;
}

function nameInBody(answer: Answer): string | undefined {
  return answer.status === 200 ? json<{ file?: FileJson }>(answer).file?.name : undefined;
}

/** A text as a header can have it: bytes, on one line. */
function inHeader(text: string): string {
  return Buffer.from(text.replaceAll(/[\r\n]/g, ' ')).toString('latin1');
}

export const WAYS: readonly Way[] = [
  {
    of: ['POST /uploads'],
    title: 'POST /uploads with all bytes',
    labels: UPLOAD_LABELS,
    unnamed: md5,
    send: async (base, sending) => {
      const headers = { ...creation(sending), 'Content-Type': 'application/offset+octet-stream' };
      const answer = await ask(base, { method: 'POST', path: '/uploads', headers, body: sending.bytes });
      return { answer, told: nameInHeader(answer) };
    },
  },
  {
    of: ['POST /uploads, without a byte,', 'PATCH /uploads/:id'],
    title: 'POST /uploads and PATCH',
    labels: UPLOAD_LABELS,
    unnamed: md5,
    send: async (base, sending) => {
      const created = await ask(base, { method: 'POST', path: '/uploads', headers: creation(sending) });
      if (created.status !== 201) return { answer: created, told: undefined };
      const answer = await patch(created.headers.location ?? '', 0, sending.bytes);
      return { answer, told: nameInHeader(answer) };
    },
  },
  {
    of: ['POST /api/files', 'POST /api/files, with its digest,'],
    title: 'POST /api/files',
    labels: ['filetype'],
    unnamed: md5,
    send: async (base, { filename, bytes, filetype }) => {
      const answer = await ask(base, {
        method: 'POST',
        path: `/api/files?${new URLSearchParams({ name: filename }).toString()}`,
        headers: filetype === undefined ? {} : { 'Content-Type': inHeader(filetype) },
        body: bytes,
      });
      return { answer, told: nameInHeader(answer) };
    },
  },
  {
    of: ['POST /upload'],
    title: 'POST /upload, named by the form',
    labels: ['filetype', 'md5', 'sha256'],
    asBrowsersWrite: true,
    unnamed: md5,
    send: async (base, sending) => {
      const form = formOf({ name: sending.filename, bytes: sending.bytes }, sending.filetype);
      const answer = await ask(base, { method: 'POST', path: `/upload?${queryOf(sending, false)}`, ...form });
      return { answer, told: nameInBody(answer) };
    },
  },
  {
    of: ['POST /upload, with its digests,'],
    title: 'POST /upload, named by the query',
    labels: ['filetype', 'md5', 'sha256'],
    unnamed: () => 'of-the-form.bin',
    send: async (base, sending) => {
      const form = formOf({ name: 'of-the-form.bin', bytes: sending.bytes }, sending.filetype);
      const answer = await ask(base, { method: 'POST', path: `/upload?${queryOf(sending, true)}`, ...form });
      return { answer, told: nameInBody(answer) };
    },
  },
  {
    of: ['POST /file/upload'],
    title: 'POST /file/upload',
    labels: ['filetype'],
    asBrowsersWrite: true,
    unnamed: md5,
    send: async (base, { filename, bytes, filetype }) => {
      const form = formOf({ name: filename, bytes }, filetype);
      const answer = await ask(base, { method: 'POST', path: '/file/upload', ...form });
      return { answer, told: nameInHeader(answer) };
    },
  },
  {
    of: ['GET /check, with filename,'],
    title: 'GET /check of bytes that are here',
    labels: ['sha256'],
    unnamed: (bytes) => `before-${md5(bytes)}.bin`,
    send: async (base, sending) => {
      await putFile(base, sending.bytes, { filename: `before-${md5(sending.bytes)}.bin` });
      const query = queryOf({ ...sending, md5: md5(sending.bytes) }, true);
      const answer = await ask(base, { method: 'GET', path: `/check?${query}` });
      return { answer, told: nameInBody(answer) };
    },
  },
];

/** The newest file of the service. */
export async function latestFile(base: string): Promise<FileJson | undefined> {
  const listed = json<{ files: FileJson[] }>(await send('GET', `${base}/api/files?limit=1`));
  return listed.files[0];
}

/** Deletes it: no later file is called otherwise because of it. */
export async function forget(base: string, file: Pick<FileJson, 'id'> | undefined): Promise<void> {
  await send('DELETE', `${base}/api/files/${file?.id ?? ''}`);
}

/** How a person gives a file another name. */
export interface Renaming {
  /** Titles of the rows of the table that it goes by. */
  of: readonly string[];
  /** The field that a refusal names. */
  field: string;
  /** It takes no path. */
  isPlain?: true;
  rename(base: string, thing: Thing, name: string): Promise<Taken>;
}

export const RENAMINGS: readonly Renaming[] = [
  {
    of: ['PATCH /api/files/:id'],
    field: 'name',
    rename: async (base, { fileId }, name) => {
      const answer = await ask(base, {
        method: 'PATCH',
        path: `/api/files/${fileId}`,
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ name }),
      });
      return { answer, told: json<{ name?: string }>(answer).name };
    },
  },
  ...(['query', 'body'] as const).map((place): Renaming => ({
    of: ['POST /file/update'],
    field: 'filename',
    isPlain: true,
    rename: async (base, thing, filename) => {
      const params = new URLSearchParams({ op: '0', filehash: thing.md5, filename }).toString();
      const answer = await ask(base, {
        method: 'POST',
        path: `/file/update${place === 'query' ? `?${params}` : ''}`,
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: place === 'body' ? params : '',
      });
      return { answer, told: json<{ FileName?: string }>(answer).FileName };
    },
  })),
];
