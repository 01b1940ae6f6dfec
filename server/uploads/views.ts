/**
 * Views: what the edges see of rows. The row behind a content's view is kept here, so that its bytes can be opened without
 * another query; the edges never see that row and its store key.
 */
import type { ContentRecord, FileRecord, UploadRecord } from '../catalog/catalog.ts';
import type { ContentView, FileView, UploadView } from './contract.ts';

const rows = new WeakMap<ContentView, ContentRecord>();

/** An upload's row as the edges see it. */
export function uploadViewOf(row: UploadRecord): UploadView {
  const { id, kind, state, offset, size, filename, metadata, fileId } = row;
  const { expectedSize, createdAt, idleMs, expiresAt, leftMs } = row;
  const times = { createdAt, idleMs, expiresAt, leftMs };
  return Object.freeze({ id, kind, state, offset, size, expectedSize, filename, metadata, fileId, ...times });
}

/** A file's row as the edges see it. */
export function fileViewOf({ id, name, type, uploadedAt, content }: FileRecord): FileView {
  return Object.freeze({ id, name, type, uploadedAt, content: contentViewOf(content) });
}

/** A content's row as the edges see it. */
export function contentViewOf(row: ContentRecord): ContentView {
  const { md5, sha1, sha256, size, variant, publishedAt } = row;
  const view = Object.freeze({ md5, sha1, sha256, size, variant, publishedAt });
  rows.set(view, row);
  return view;
}

/** The row from which `contentViewOf` made a view. */
export function contentRowOf(view: ContentView): ContentRecord {
  const row = rows.get(view);
  if (!row) throw new Error('this is no view of a content');
  return row;
}
