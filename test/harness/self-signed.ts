/** A self-signed certificate for localhost (X.509, RFC 5280). */
import { generateKeyPairSync, sign } from 'node:crypto';

const DAY_MS = 86_400_000;
/** ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758). */
const ECDSA_WITH_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex');
/** commonName, 2.5.4.3. */
const COMMON_NAME = Buffer.from('0603550403', 'hex');
const VERSION_3 = Buffer.from('a003020102', 'hex');
const SERIAL_1 = Buffer.from('020101', 'hex');

const TAG = { sequence: 0x30, set: 0x31, utf8: 0x0c, utcTime: 0x17, bits: 0x03 };

export interface SelfSigned {
  key: string;
  cert: string;
}

/** @param days - until the certificate expires; negative: it has expired. */
export function makeSelfSigned(days: number): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const algorithm = der(TAG.sequence, ECDSA_WITH_SHA256);
  const name = der(TAG.sequence, der(TAG.set, der(TAG.sequence, COMMON_NAME, der(TAG.utf8, Buffer.from('localhost')))));
  const end = Date.now() + days * DAY_MS;
  const validity = der(TAG.sequence, utcTime(end - 100 * DAY_MS), utcTime(end));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const body = der(TAG.sequence, VERSION_3, SERIAL_1, algorithm, name, validity, name, spki);
  // 0: the number of unused bits in the last byte.
  const signature = der(TAG.bits, Buffer.from([0]), sign('sha256', body, privateKey));
  const whole = der(TAG.sequence, body, algorithm, signature);
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${whole.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
  };
}

function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const sizes = [];
  for (let left = length; left > 0; left = Math.floor(left / 256)) sizes.unshift(left % 256);
  const header = length < 128 ? [tag, length] : [tag, 0x80 | sizes.length, ...sizes];
  return Buffer.concat([Buffer.from(header), content]);
}

/** YYMMDDhhmmssZ */
function utcTime(ms: number): Buffer {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return der(TAG.utcTime, Buffer.from(text.slice(2)));
}
