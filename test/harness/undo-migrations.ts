/** Brings the database of a test back to how an older version made it. */
import type { Database } from '../../server/catalog/sqlite/database.ts';

/** Undoes SQLite's migration 0019; to be called before the others. */
export function undoUploadLinks(database: Pick<Database, 'exec'>): void {
  for (const trigger of ['taken', 'changed', 'given_back']) database.exec(`DROP TRIGGER link_${trigger}`);
  for (const index of ['by_link', 'receiving_by_link', 'sent_by_file']) database.exec(`DROP INDEX uploads_${index}`);
  for (const column of ['link_id', 'sender', 'note']) database.exec(`ALTER TABLE uploads DROP COLUMN ${column}`);
  for (const column of ['folder', 'most_bytes', 'most_files', 'most_file_bytes', 'types', 'sent_files', 'sent_bytes'])
    database.exec(`ALTER TABLE links DROP COLUMN ${column}`);
}

/** Undoes SQLite's migration 0018; to be called before those below. */
export function undoLinkFolders(database: Pick<Database, 'exec'>): void {
  database.exec('DROP TABLE trash_link_folders; DROP TABLE link_folders');
}

/** Undoes SQLite's migration 0017; to be called before those below. */
export function undoTrash(database: Pick<Database, 'exec'>): void {
  database.exec('DROP TABLE trash_links; DROP TABLE trash');
}

/** Undoes SQLite's migration 0016; the caller sets `user_version`. */
export function undoFolders(database: Pick<Database, 'exec'>): void {
  for (const trigger of ['filled', 'emptied', 'changed']) database.exec(`DROP TRIGGER folder_${trigger}`);
  for (const index of ['at_top', 'in_folder', 'in_folder_by_uploaded', 'in_folder_by_name', 'in_folder_by_size'])
    database.exec(`DROP INDEX files_${index}`);
  database.exec('ALTER TABLE files DROP COLUMN folder_id; DROP TABLE folders');
  database.exec('CREATE INDEX files_by_content_owner_name ON files (content_id, owner, name)');
  database.exec('ALTER TABLE uploads DROP COLUMN on_conflict; ALTER TABLE events DROP COLUMN moved_from');
}

/** Undoes SQLite's migration 0015. */
export function undoLinks(database: Pick<Database, 'exec'>): void {
  database.exec('DROP TABLE link_files; DROP TABLE links');
}
