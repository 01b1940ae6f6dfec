/** Largest header section of a request: 8 KiB of Upload-Metadata and all the rest. */
export const MAX_HEADER_BYTES = 32 * 1024;
