/** AWS Signature Version 4 in the headers of a request. */
import { createHash, createHmac } from 'node:crypto';

const ALGORITHM = 'AWS4-HMAC-SHA256';
/** In place of the SHA-256 of a body that is not signed. */
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';

/** What signs, and for which region. */
export interface SigningKey {
  accessKeyId: string;
  secretAccessKey: string;
  region: string;
}

/** A request before it is signed. */
export interface Unsigned {
  method: string;
  /** The path as it is sent, encoded by `encodePath`. */
  path: string;
  /** Names and values as they are, in the order of the names. */
  query: readonly (readonly [name: string, value: string])[];
  /** By name in lower case, with `host`. All of them are signed. */
  headers: Readonly<Record<string, string>>;
  /** The SHA-256 of the body, in hex, or `UNSIGNED_PAYLOAD`. */
  payloadHash: string;
  /** Milliseconds since the epoch. */
  atMs: number;
}

/** Signs requests. @returns the headers with the signature. */
export type Sign = (request: Unsigned) => Record<string, string>;

/** Makes a signer. The key of a day is derived once. */
export function createSigner({ accessKeyId, secretAccessKey, region }: SigningKey): Sign {
  let known: { day: string; key: Buffer } | undefined;

  function keyOf(day: string): Buffer {
    if (known?.day !== day) {
      const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`);
      known = { day, key: key as Buffer };
    }
    return known.key;
  }

  return ({ method, path, query, headers, payloadHash, atMs }) => {
    const date = new Date(atMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
    const signed: Record<string, string> = {
      ...headers,
      'x-amz-content-sha256': payloadHash,
      'x-amz-date': date,
    };
    const names = Object.keys(signed).sort();
    const canonical = [
      method,
      path,
      encodeQuery(query),
      ...names.map((name) => `${name}:${signed[name]?.trim().replaceAll(/\s+/g, ' ')}`),
      '',
      names.join(';'),
      payloadHash,
    ].join('\n');
    const day = date.slice(0, 8);
    const scope = `${day}/${region}/s3/aws4_request`;
    const text = [ALGORITHM, date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
    const signature = hmac(keyOf(day), text).toString('hex');
    signed['authorization'] =
      `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
    return signed;
  };
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** A key as the path of an address has it. */
export function encodePath(key: string): string {
  return key.split('/').map(encode).join('/');
}

/** The query as an address has it, without the question mark. */
export function encodeQuery(query: Unsigned['query']): string {
  return query.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
}

/** S3's UriEncode: everything but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}
