/** What a bucket is reached with, and how providers differ. */

export interface S3Settings {
  /** e.g. `http://127.0.0.1:7480`; null: AWS's own for the region. */
  endpoint: string | null;
  /** Null: the preset's. */
  region: string | null;
  bucket: string;
  /** Put before every key; '' or e.g. `tidemark/`. */
  prefix: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Memory for parts on their way, all uploads together. */
  bufferBytes: number;
  /** The bucket in the path rather than in the host name. Null: the preset's. */
  pathStyle: boolean | null;
  /** The endpoint is a domain of the bucket's own (CNAME): nothing is put before it. */
  endpointIsBucket: boolean;
}

/** What is set for a provider, and why: its folder's preset.ts. */
export interface Preset {
  /** As in `STORE`. */
  name: string;
  defaultRegion: string | null;
  pathStyle: boolean;
  /** The SDK's own checksums: `WHEN_SUPPORTED` makes bodies aws-chunked, which many look-alikes refuse. */
  checksums: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED';
  /** ListMultipartUploads is there: then those whose answer was lost can be found. Not needed for anything else. */
  listsMultiparts: boolean;
  /** Completing a multipart upload that is gone is answered as if another call were completing it: ListParts tells. */
  hidesGoneMultiparts: boolean;
  /** Hosts at which browsers save whatever they are sent, under a name of their own unless they are told to save. */
  savingHosts: RegExp | null;
  /** With a put: it stores nothing where the key has an object already. Null: the provider has no such condition. */
  putIfAbsent: Readonly<Record<string, string>> | null;
  /** Sent with every ranged read. */
  rangeHeaders: Readonly<Record<string, string>>;
}
