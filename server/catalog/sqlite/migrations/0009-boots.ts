/**
 * The boot of the machine that wrote last is what the local store keeps of an upload, as other stores keep what they
 * need: no other store had a boot. Of an upload that is published or has ended it does not matter. The column stays,
 * unused: to drop it, SQLite writes the whole table anew, and a full disk has no room for that.
 */
export const boots = `
UPDATE uploads SET store_state = boot_id
  WHERE state = 'receiving' AND store_state IS NULL AND boot_id IS NOT NULL;
`;
