/** Folders of links: what is in them when the link is opened. See docs/decisions/0068-links-to-folders.md. */
export const linkFolders = `
CREATE TABLE link_folders (
  link_id   TEXT NOT NULL REFERENCES links (id) ON DELETE CASCADE,
  position  INTEGER NOT NULL,
  folder_id INTEGER NOT NULL REFERENCES folders (id) ON DELETE CASCADE,
  PRIMARY KEY (link_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_folders_by_folder ON link_folders (folder_id);

-- The places in links that a folder had, which went with its last file: kept with each file in the trash that was below it.
CREATE TABLE trash_link_folders (
  file_id  TEXT NOT NULL REFERENCES trash (id) ON DELETE CASCADE,
  -- No reference, as in trash_links.
  link_id  TEXT NOT NULL,
  position INTEGER NOT NULL,
  -- How many parts the folder's path has.
  depth    INTEGER NOT NULL,
  PRIMARY KEY (file_id, link_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX trash_link_folders_by_link ON trash_link_folders (link_id);
`;
