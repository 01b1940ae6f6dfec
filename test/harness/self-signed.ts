/** Certificates of the tests' own (X.509, RFC 5280): self-signed for localhost, and an authority with what it issues. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { isIPv4 } from 'node:net';

const DAY_MS = 86_400_000;
/** ecdsa-with-SHA256, 1.2.840.10045.4.3.2 (RFC 5758). */
const ECDSA_WITH_SHA256 = Buffer.from('06082a8648ce3d040302', 'hex');
/** commonName, 2.5.4.3. */
const COMMON_NAME = Buffer.from('0603550403', 'hex');
/** basicConstraints, 2.5.29.19. */
const BASIC_CONSTRAINTS = Buffer.from('0603551d13', 'hex');
/** subjectAltName, 2.5.29.17. */
const ALTERNATIVE_NAMES = Buffer.from('0603551d11', 'hex');
const VERSION_3 = Buffer.from('a003020102', 'hex');
const SERIAL_1 = Buffer.from('020101', 'hex');

const TAG = {
  boolean: 0x01,
  bits: 0x03,
  octets: 0x04,
  utf8: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
  // Within subjectAltName.
  dnsName: 0x82,
  address: 0x87,
  // Within a certificate.
  extensions: 0xa3,
};

export interface SelfSigned {
  key: string;
  cert: string;
}

/** @param days - until the certificate expires; negative: it has expired. */
export function makeSelfSigned(days: number): SelfSigned {
  const { privateKey, publicKey } = newKeys();
  return {
    key: pem(privateKey),
    cert: certify({ subject: 'localhost', issuer: 'localhost', key: publicKey, by: privateKey, days, extensions: [] }),
  };
}

export interface Authority {
  readonly cert: string;
  /** Makes a certificate for these host names and IPv4 addresses. */
  issue(hosts: readonly string[]): SelfSigned;
}

/** An authority that nobody trusts by itself. */
export function makeAuthority(): Authority {
  const name = 'Authority of a test';
  const { privateKey, publicKey } = newKeys();
  const isAuthority = extension(BASIC_CONSTRAINTS, der(TAG.sequence, der(TAG.boolean, Buffer.from([0xff]))));
  const about = { issuer: name, by: privateKey, days: 30 };
  return {
    cert: certify({ ...about, subject: name, key: publicKey, extensions: [isAuthority] }),
    issue: (hosts) => {
      const own = newKeys();
      const names = hosts.map((host) =>
        isIPv4(host) ? der(TAG.address, Buffer.from(host.split('.').map(Number))) : der(TAG.dnsName, Buffer.from(host)),
      );
      const extensions = [extension(ALTERNATIVE_NAMES, der(TAG.sequence, ...names))];
      return {
        key: pem(own.privateKey),
        cert: certify({ ...about, subject: hosts[0] ?? '', key: own.publicKey, extensions }),
      };
    },
  };
}

function newKeys(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
}

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}

interface About {
  subject: string;
  issuer: string;
  /** Public key of the subject. */
  key: KeyObject;
  /** Private key of the issuer. */
  by: KeyObject;
  days: number;
  extensions: Buffer[];
}

function certify({ subject, issuer, key, by, days, extensions }: About): string {
  const algorithm = der(TAG.sequence, ECDSA_WITH_SHA256);
  const end = Date.now() + days * DAY_MS;
  const validity = der(TAG.sequence, utcTime(end - 100 * DAY_MS), utcTime(end));
  const spki = key.export({ type: 'spki', format: 'der' });
  const fields = [VERSION_3, SERIAL_1, algorithm, nameOf(issuer), validity, nameOf(subject), spki];
  if (extensions.length > 0) fields.push(der(TAG.extensions, der(TAG.sequence, ...extensions)));
  const body = der(TAG.sequence, ...fields);
  // 0: the number of unused bits in the last byte.
  const signature = der(TAG.bits, Buffer.from([0]), sign('sha256', body, by));
  const whole = der(TAG.sequence, body, algorithm, signature);
  return `-----BEGIN CERTIFICATE-----\n${whole.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
}

function nameOf(common: string): Buffer {
  return der(TAG.sequence, der(TAG.set, der(TAG.sequence, COMMON_NAME, der(TAG.utf8, Buffer.from(common)))));
}

function extension(oid: Buffer, value: Buffer): Buffer {
  return der(TAG.sequence, oid, der(TAG.octets, value));
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
