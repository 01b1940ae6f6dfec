/** What the tus endpoint does with a request (server/protocols/tus/library.ts), without HTTP: in the same order, with the same calls. */
import type { ExpectedChecksum } from '../../server/uploads/checksums.ts';
import type { Declaration, FileView, UploadView } from '../../server/uploads/contract.ts';
import { TidemarkError } from '../../server/uploads/errors.ts';
import type { Writer } from '../../server/uploads/writer.ts';
import type { Connection } from './network.ts';
import type { SimNode } from './node.ts';

export interface Sent {
  id: string;
  owner: string;
  offset: number;
  /** A deferred length that this request declares. */
  length?: number | undefined;
  checksum?: ExpectedChecksum | undefined;
  /** Told where it begins to append, and under which epoch. */
  onOpen?: (id: string, epoch: number, offset: number) => void;
}

export interface Told {
  id: string;
  offset: number;
  /** What the upload has become. */
  fileId: string | null;
}

export async function head(node: SimNode, { id, owner }: Pick<Sent, 'id' | 'owner'>): Promise<Told> {
  return toldOf(await node.uploads.view(id, owner));
}

export async function post(
  node: SimNode,
  connection: Connection,
  { owner, declaration, bringsBody }: { owner: string; declaration: Declaration; bringsBody: boolean },
): Promise<Told> {
  const id = node.newId();
  const begun = node.uploads.markComing(id);
  try {
    if (!bringsBody) {
      const upload = await node.uploads.begin({ id, owner, declaration });
      return toldOf(declaration.size === 0 ? await node.uploads.view(id, owner) : upload);
    }
    const writer = await node.uploads.beginWriting({ id, owner, declaration });
    return await appending(node, writer, connection, { id, owner, offset: 0 }, begun);
  } finally {
    begun();
  }
}

export async function patch(node: SimNode, connection: Connection, sent: Sent): Promise<Told> {
  const begun = node.uploads.markComing(sent.id);
  try {
    const { id, owner, offset } = sent;
    const writer = await node.uploads.open(id, owner, { signal: connection.gone, offset });
    return await appending(node, writer, connection, sent, begun);
  } finally {
    begun();
  }
}

async function appending(
  node: SimNode,
  writer: Writer,
  { body }: Connection,
  { id, owner, offset, length, checksum, onOpen }: Sent,
  begun: () => void,
): Promise<Told> {
  const { upload } = writer;
  try {
    if (upload.offset !== offset) throw new TidemarkError('offset_conflict');
    if (upload.state !== 'receiving') return toldOf(await node.uploads.current(id, owner));
    onOpen?.(id, writer.epoch, upload.offset);
    const size = length ?? upload.size;
    const received = await writer.append(body, {
      maxBytes: size === null ? Infinity : size - offset,
      length: upload.size === null ? length : undefined,
      checksum,
      onReading: begun,
    });
    return { id, offset: received.offset, fileId: received.file?.id ?? null };
  } finally {
    await writer.release();
  }
}

export async function remove(
  node: SimNode,
  connection: Connection,
  { id, owner }: Pick<Sent, 'id' | 'owner'>,
): Promise<void> {
  const writer = await node.uploads.open(id, owner, { signal: connection.gone });
  try {
    await writer.remove();
  } finally {
    await writer.release();
  }
}

export async function form(
  node: SimNode,
  { body, gone }: Connection,
  { owner, declaration }: { owner: string; declaration: Declaration },
): Promise<FileView> {
  const published = await node.uploads.receiveWhole({ owner, declaration }, body, gone);
  return published.file;
}

export async function download(node: SimNode, connection: Connection, id: string, owner: string): Promise<Buffer> {
  const file = await node.files.get(id, owner);
  const stream = await node.files.open(file, undefined, connection.gone);
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk);
  } catch (cause) {
    // The answer breaks off.
    throw new TidemarkError('store_unavailable', { cause });
  }
  return Buffer.concat(chunks);
}

function toldOf({ id, offset, fileId }: UploadView): Told {
  return { id, offset, fileId };
}
