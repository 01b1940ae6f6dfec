/**
 * Size of the parts in which tests send an upload to a bucket (`S3_PART_BYTES`): a file of several parts is a small one, then. Ceph
 * takes such parts with the smallest part that `rgw.ts` gives it.
 */
export const PART = 256 * 1024;
