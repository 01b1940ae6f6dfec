/** Checksums of single requests, right and wrong ones (tus 1.0.0, "Checksum"). */
import { createHash } from 'node:crypto';
import { crc32 } from 'hash-wasm';
import type { Random } from './random.ts';

/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), bits reversed. */
const CASTAGNOLI = 0x82f63b78;
const WRONG_ONE_IN = 8;

/** What a request declares about its body. */
export interface Checksum {
  headers: Record<string, string>;
  /** Declared at the end of the body instead. */
  trailers: Record<string, string> | undefined;
  isRight: boolean;
}

/** Chooses how a request declares the checksum of its body; now and then the checksum is that of other bytes. */
export async function chooseChecksum(dice: Random, body: Buffer): Promise<Checksum> {
  const isRight = dice.between(1, WRONG_ONE_IN) > 1;
  const algorithm = dice.pick(['sha1', 'md5', 'sha256', 'crc32c']);
  const digest = await digestOf(algorithm, isRight ? body : Buffer.concat([body, Buffer.from('!')]));
  const field = { 'Upload-Checksum': `${algorithm} ${digest.toString('base64')}` };
  const isTrailer = dice.between(1, 3) === 1;
  return {
    headers: isTrailer ? { Trailer: 'Upload-Checksum', 'Transfer-Encoding': 'chunked' } : field,
    trailers: isTrailer ? field : undefined,
    isRight,
  };
}

async function digestOf(algorithm: string, body: Buffer): Promise<Buffer> {
  if (algorithm === 'crc32c') return Buffer.from(await crc32(body, CASTAGNOLI), 'hex');
  return createHash(algorithm).update(body).digest();
}
