/**
 * Views: what the edges see of rows. A content's view stands for the row it was made of, so that its bytes are opened
 * without another look at the catalog; the row itself, with the store's key, stays here.
 */
import type { ContentRecord, FileRecord, UploadRecord } from '../catalog/catalog.ts';
import type { ContentView, FileView, UploadView } from './contract.ts';

const rows = new WeakMap<ContentView, ContentRecord>();

export function uploadViewOf(row: UploadRecord): UploadView {
  const { id, state, offset, size, filename, metadata, fileId, createdAt, idleMs, expiresAt, leftMs } = row;
  return Object.freeze({ id, state, offset, size, filename, metadata, fileId, createdAt, idleMs, expiresAt, leftMs });
}

export function fileViewOf({ id, name, type, uploadedAt, content }: FileRecord): FileView {
  return Object.freeze({ id, name, type, uploadedAt, content: contentViewOf(content) });
}

export function contentViewOf(row: ContentRecord): ContentView {
  const { md5, sha1, sha256, size, variant, publishedAt } = row;
  const view = Object.freeze({ md5, sha1, sha256, size, variant, publishedAt });
  rows.set(view, row);
  return view;
}

/** The row that a view was made of. */
export function contentRowOf(view: ContentView): ContentRecord {
  const row = rows.get(view);
  if (!row) throw new Error('this is no view of a content');
  return row;
}
