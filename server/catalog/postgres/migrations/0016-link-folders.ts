/** Folders of links: what is in them when the link is opened. See docs/decisions/0068-links-to-folders.md. */
export const linkFolders = `
CREATE TABLE link_folders (
  link_id   text COLLATE "C" NOT NULL REFERENCES links (id) ON DELETE CASCADE,
  position  bigint NOT NULL,
  folder_id bigint NOT NULL REFERENCES folders (id) ON DELETE CASCADE,
  PRIMARY KEY (link_id, position)
);
CREATE INDEX link_folders_by_folder ON link_folders (folder_id);
`;
