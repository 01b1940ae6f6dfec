/** What the rest of the service is given: validated, complete and frozen. */
import type { DigestAlgorithm } from '../../stores/digests/digests.ts';

export interface Config {
  /** Address the socket is bound to (`LISTEN`). */
  listen: string;
  /** TCP port (`HTTP_PORT`); 0 picks a free one. */
  port: number;
  /** Base of every address handed out, without a trailing slash (`PUBLIC_URL`); null: see `host`. */
  publicUrl: string | null;
  /**
   * Host in addresses handed out (`HOST`), with the port. Null: what the client
   * called the service, which is right behind port forwarding and for every alias.
   */
  host: string | null;
  /** Proxies whose forwarding headers count (`TRUST_PROXY`): addresses, CIDR ranges or `loopback`. Empty: none. */
  trustProxy: readonly string[];
  /** Path under which the service is mounted, from PUBLIC_URL: '' or '/prefix'. */
  basePath: string;
  store: StoreConfig;
  database: DatabaseConfig;
  /** Folder of the local store, the embedded catalog and its lock (`DATA_DIR`). */
  dataDir: string;
  /** Largest file in bytes (`MAX_FILE_SIZE`); null: no limit. */
  maxFileSizeBytes: number | null;
  /** Unfinished uploads of one owner (`MAX_OPEN_UPLOADS`). */
  maxOpenUploads: number;
  /** Life of an unfinished upload after its last byte (`UPLOAD_TTL`). */
  uploadTtlMs: number;
  download: DownloadConfig;
  /** What is known of every content (`DIGESTS`): SHA-1 after its publication, the others before. */
  digests: readonly DigestAlgorithm[];
  access: AccessConfig;
  /** How long a stop may take (`SHUTDOWN_TIMEOUT`). */
  shutdownTimeoutMs: number;
  /** How long a request waits for an upload that another one writes to (`LOCK_TIMEOUT`). */
  lockTimeoutMs: number;
  /** How long nothing may move on a connection while it is the client's turn (`IDLE_TIMEOUT`). */
  idleTimeoutMs: number;
  logLevel: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent';
}

export type StoreConfig = { kind: 'local' } | BucketConfig;

export interface BucketConfig {
  kind: 's3' | 'ceph' | 'oss';
  /** Null: AWS's own for the region. */
  endpoint: string | null;
  /** Null: the store's own default. */
  region: string | null;
  bucket: string;
  /** Put before every key: '' or ends with a slash. */
  prefix: string;
  accessKeyId: string;
  secretAccessKey: string;
  /** Memory for parts on their way (`S3_BUFFER_BYTES`). */
  bufferBytes: number;
  /** The bucket in the path rather than in the host name. Null: the store's own default. */
  pathStyle: boolean | null;
  /** The endpoint is the bucket's own domain (`S3_ENDPOINT_IS_BUCKET`). */
  endpointIsBucket: boolean;
}

export interface DownloadConfig {
  /** `redirect`: clients fetch contents from the bucket, at an address that holds for a while (`DOWNLOAD`). */
  mode: 'stream' | 'redirect';
  /** How long such an address holds (`PRESIGN_TTL`); whole seconds. */
  presignTtlMs: number;
}

export type DatabaseConfig = { kind: 'sqlite'; file: string } | PostgresConfig;

export interface PostgresConfig {
  kind: 'postgres';
  /** The address, with the password in it (`DATABASE_URL`). */
  url: string;
  /** An address past a pooler, for what needs a session (`DATABASE_DIRECT_URL`); null: `url` is no pooler's. */
  directUrl: string | null;
  /** Certificates in PEM that are trusted in place of the machine's (`DATABASE_CA_FILE` names the file); null: those. */
  ca: string | null;
  /** The most connections at once (`DATABASE_POOL`). */
  poolSize: number;
}

export type InstantPolicy = 'owner' | 'all' | 'off';

export interface AccessConfig {
  /** Owners by their secrets (`AUTH_TOKENS`); empty: no tokens are asked for. */
  tokens: readonly { owner: string; secret: string }[];
  instant: InstantPolicy;
  /** `GET /files/...` is open to all (`PUBLIC_READ`). */
  publicRead: boolean;
  /** Origins whose pages may use the service from a browser (`CORS_ORIGINS`); `*`: all. Its own always may. */
  corsOrigins: '*' | readonly string[];
  /** Request headers that pages of those origins may send beside the protocol's own (`CORS_HEADERS`). */
  corsHeaders: readonly string[];
  /** Those pages may send cookies, which a proxy in front may ask for (`CORS_CREDENTIALS`). */
  corsCredentials: boolean;
}

/** Who owns what is uploaded to a service without tokens. */
export const ANYONE = 'anyone';
