/**
 * What a store keeps of an upload. The index finds uploads that have ended while
 * something of them is still in the store.
 */
export const storeState = `
ALTER TABLE uploads ADD COLUMN store_state TEXT;
CREATE INDEX uploads_to_discard ON uploads (id)
  WHERE store_state IS NOT NULL AND state <> 'receiving';
`;
