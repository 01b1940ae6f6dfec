/** Largest header section of a request: room for 8 KiB of Upload-Metadata and all other headers. */
export const MAX_HEADER_BYTES = 32 * 1024;
