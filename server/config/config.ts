/** The validated, complete and frozen settings that the rest of the service gets. */
import type { DigestAlgorithm } from '../../stores/digests/digests.ts';

export interface Config {
  /** Address the socket is bound to (`LISTEN`). */
  listen: string;
  /** TCP port (`HTTP_PORT`); 0 picks a free one. */
  port: number;
  /** Base of every address that the service hands out, without a trailing slash (`PUBLIC_URL`); null: see `host`. */
  publicUrl: string | null;
  /**
   * Host name in the addresses that the service hands out (`HOST`); the service appends its port. Null:
   * the request's own Host header, which is right behind port forwarding and for every alias.
   */
  host: string | null;
  /** Proxies whose forwarding headers are trusted (`TRUST_PROXY`): addresses, CIDR ranges or names of ranges. Empty: none. */
  trustProxy: readonly string[];
  /** Path under which the service is mounted, from PUBLIC_URL: '' or '/prefix'. */
  basePath: string;
  store: StoreConfig;
  database: DatabaseConfig;
  /** Folder of the local store, the embedded catalog and its lock (`DATA_DIR`). */
  dataDir: string;
  /** Largest file in bytes (`MAX_FILE_SIZE`); null: no limit. */
  maxFileSizeBytes: number | null;
  /** The most bytes that a proxy in front lets through in one request, as clients are told (`MAX_APPEND_SIZE`); null: any number. */
  maxAppendBytes: number | null;
  /** Most unfinished uploads of one owner (`MAX_OPEN_UPLOADS`). */
  maxOpenUploads: number;
  quotas: QuotaConfig;
  /** How long the service keeps an unfinished upload after its last byte (`UPLOAD_TTL`). */
  uploadTtlMs: number;
  /** How long the service keeps deleted files, so that they can be restored (`TRASH_TTL`); 0: it does not. */
  trashTtlMs: number;
  download: DownloadConfig;
  /** Digests computed of every content (`DIGESTS`): SHA-1 after its publication, the others before. */
  digests: readonly DigestAlgorithm[];
  access: AccessConfig;
  /** Which groups of routes, and whether work in the background, this process runs (`SERVICES`). */
  services: readonly ServiceGroup[];
  /** Processes that share the port (`WORKERS`); 1: this one alone. */
  workers: number;
  /** How long a stop may take (`SHUTDOWN_TIMEOUT`). */
  shutdownTimeoutMs: number;
  /** How long a request waits for an upload that another one writes to (`LOCK_TIMEOUT`). */
  lockTimeoutMs: number;
  /** How long a connection may be idle while the service waits for the client (`IDLE_TIMEOUT`). */
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
  /** Memory for the parts of all uploads that are being sent to the bucket (`S3_BUFFER_BYTES`). */
  bufferBytes: number;
  /** Bytes of a part, where an object needs no larger ones (`S3_PART_BYTES`). */
  partBytes: number;
  /** Whether requests have the bucket in the path, not in the host name (`S3_PATH_STYLE`). Null: the store's own default. */
  pathStyle: boolean | null;
  /** The endpoint is the bucket's own domain (`S3_ENDPOINT_IS_BUCKET`). */
  endpointIsBucket: boolean;
}

/** How much an owner may have; null: no limit. */
export interface OwnerQuota {
  bytes: number | null;
  files: number | null;
  /** Unfinished uploads; null: as many as `maxOpenUploads`. */
  openUploads: number | null;
}

/** How much owners may have. */
export interface QuotaConfig {
  /** Of each owner who has none of their own (`QUOTA_BYTES`, `QUOTA_FILES`). */
  standard: OwnerQuota;
  /** By owner (`QUOTAS`). */
  ofOwners: Readonly<Record<string, OwnerQuota>>;
}

export interface DownloadConfig {
  /** `redirect`: clients download contents from the bucket, by a presigned address (`DOWNLOAD`). */
  mode: 'stream' | 'redirect';
  /** How long a presigned address is valid (`PRESIGN_TTL`); whole seconds. */
  presignTtlMs: number;
}

export type DatabaseConfig = { kind: 'sqlite'; file: string } | PostgresConfig;

export interface PostgresConfig {
  kind: 'postgres';
  /** The address, which may contain a password: never log it (`DATABASE_URL`). */
  url: string;
  /** An address past a pooler, for what needs a session (`DATABASE_DIRECT_URL`); null: `url` is no pooler's. */
  directUrl: string | null;
  /** Certificates in PEM that are trusted in place of the machine's (`DATABASE_CA_FILE` names the file); null: those. */
  ca: string | null;
  /** The most connections at once (`DATABASE_POOL`). */
  poolSize: number;
}

/** Routes that are served together, in groups that can run apart from each other. */
export const ROUTE_GROUPS = ['uploads', 'files', 'api', 'page'] as const;
export type RouteGroup = (typeof ROUTE_GROUPS)[number];
/** What a process may run: the groups of routes, and as `worker` the jobs. */
export const SERVICE_GROUPS = [...ROUTE_GROUPS, 'worker'] as const;
export type ServiceGroup = (typeof SERVICE_GROUPS)[number];

/** Whose contents `/check` finds, so that a client need not send them (`INSTANT`): those of the asker, of all, or none. */
export type InstantPolicy = 'owner' | 'all' | 'off';

export interface AccessConfig {
  /** Secrets and their owners (`AUTH_TOKENS`); empty: the service asks for no token. */
  tokens: readonly { owner: string; secret: string }[];
  instant: InstantPolicy;
  /** `GET /files/...` is open to all (`PUBLIC_READ`). */
  publicRead: boolean;
  /** Origins whose pages may use the service from a browser (`CORS_ORIGINS`); `*`: all. The service's own page always may. */
  corsOrigins: '*' | readonly string[];
  /** Request headers that pages of those origins may send beside the protocol's own (`CORS_HEADERS`). */
  corsHeaders: readonly string[];
  /** Those pages may send cookies, which a proxy in front may ask for (`CORS_CREDENTIALS`). */
  corsCredentials: boolean;
}

/** The owner of everything that is uploaded to a service without tokens. */
export const ANYONE = 'anyone';

/** Whether anything is kept in `DATA_DIR`: with PostgreSQL and a bucket the service writes to no disk. */
export function usesDataDir({ store, database }: Pick<Config, 'store' | 'database'>): boolean {
  return store.kind === 'local' || database.kind === 'sqlite';
}
