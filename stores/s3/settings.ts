/** The settings of a bucket, and how providers differ. */

/** Where a bucket is, and how to use it. */
export interface S3Settings {
  /** E.g. `http://127.0.0.1:7480`; null: AWS's own for the region. */
  endpoint: string | null;
  /** Null: the preset's. */
  region: string | null;
  bucket: string;
  /** The prefix of every key; '' or e.g. `tidemark/`. */
  prefix: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Memory for parts, for all uploads together. */
  bufferBytes: number;
  /** Bytes of a part, of which an upload's last may have fewer; larger for an object that would have more than 10,000. */
  partBytes: number;
  /** Whether addresses have the bucket in the path instead of the host name. Null: the preset's. */
  pathStyle: boolean | null;
  /** Whether the endpoint is a domain of the bucket itself (CNAME): the bucket's name is not added to it. */
  endpointIsBucket: boolean;
}

/** What differs for a provider. The preset.ts in the provider's folder has the values and the reasons. */
export interface Preset {
  /** The value of `STORE`. */
  name: string;
  defaultRegion: string | null;
  pathStyle: boolean;
  /** The SDK's own checksums: `WHEN_SUPPORTED` makes bodies aws-chunked, which many providers refuse. */
  checksums: 'WHEN_SUPPORTED' | 'WHEN_REQUIRED';
  /** The smallest part, but for the last, that the provider takes for certain, bytes. Its operator may allow smaller ones. */
  leastPartBytes: number;
  /** Whether the provider has ListMultipartUploads. It is only needed to find multipart uploads whose creation was not answered. */
  listsMultiparts: boolean;
  /** Whether completing a multipart upload that is gone is answered as if another call were completing it. ListParts decides. */
  hidesGoneMultiparts: boolean;
  /** Hosts that make browsers save every file; under a wrong name, unless the address asks for `attachment`. */
  savingHosts: RegExp | null;
  /**
   * Headers with which a put stores nothing where the key has an object, in lower case. Null: the provider has no such
   * condition.
   */
  putIfAbsent: Readonly<Record<string, string>> | null;
  /** Headers of every read of a range. */
  rangeHeaders: Readonly<Record<string, string>>;
}
