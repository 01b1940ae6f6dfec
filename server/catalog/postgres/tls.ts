/**
 * Reads an address's TLS parameters, `sslmode`, `sslrootcert`, `sslcert` and `sslkey`, as libpq does. pg itself treats
 * most modes as `verify-full`, and its next major version changes that.
 *
 * PostgreSQL: "34.19. SSL Support".
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { CatalogError } from '../catalog.ts';

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

type Mode = (typeof MODES)[number];

/** Parameters that are removed from the address, because pg would interpret them differently. */
const READ_HERE = ['ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'uselibpqcompat'];

/** An address, and its TLS. */
export interface TlsOfAddress {
  /** The address without its TLS parameters. */
  url: string;
  ssl: ConnectionOptions | false;
  /** Whether a connection without TLS is allowed where the server offers none. */
  isOptional: boolean;
}

/**
 * Reads an address's TLS parameters, and the files that they name.
 *
 * @param ca - certificates in PEM that are trusted in place of the machine's (`DATABASE_CA_FILE`).
 * @param name - the catalog's name in messages.
 * @throws CatalogError `unavailable` where the parameters make no sense, or a file cannot be read.
 */
export function readTls(address: string, ca: string | undefined, name: string): TlsOfAddress {
  const url = new URL(address);
  const refuse = (why: string) => new CatalogError('unavailable', `the address of the catalog ${name} ${why}`);
  const given = (parameter: string) => url.searchParams.get(parameter) ?? undefined;

  function read(parameter: string): string | undefined {
    const file = given(parameter);
    if (file === undefined || (parameter === 'sslrootcert' && file === 'system')) return undefined;
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw refuse(`names a file in ${parameter} that cannot be read (${code})`);
    }
  }

  const trusted = read('sslrootcert') ?? ca;
  const mode = modeOf(given('sslmode'), trusted !== undefined || given('sslrootcert') !== undefined);
  if (mode === undefined) throw refuse(`has an sslmode that is none of ${MODES.join(', ')}`);
  // With the public CAs, anyone with a certificate for any name would pass as the server.
  if (mode === 'verify-ca' && trusted === undefined)
    throw refuse('has sslmode=verify-ca, which needs a CA of your own: set DATABASE_CA_FILE, or take verify-full');
  const [cert, key] = [read('sslcert'), read('sslkey')];
  // PostgreSQL has no TLS on a Unix socket.
  const isSocket = given('host')?.startsWith('/') === true;
  for (const parameter of READ_HERE) url.searchParams.delete(parameter);
  const isOptional = mode === 'allow' || mode === 'prefer';
  if (mode === 'disable' || isSocket) return { url: url.href, ssl: false, isOptional };
  const ssl: ConnectionOptions = {
    ...verificationOf(mode, trusted !== undefined),
    ...(trusted !== undefined && { ca: trusted }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
  return { url: url.href, ssl, isOptional };
}

/** A CA without a mode means `verify-full`: libpq would not verify the certificate then. */
function modeOf(given: string | undefined, hasCa: boolean): Mode | undefined {
  if (given === undefined) return hasCa ? 'verify-full' : 'prefer';
  return MODES.find((mode) => mode === given);
}

/** With a CA, `require` is `verify-ca`, as in libpq. */
function verificationOf(mode: Mode, hasCa: boolean): ConnectionOptions {
  if (mode === 'verify-full') return {};
  const verifiesCa = mode === 'verify-ca' || (mode === 'require' && hasCa);
  return verifiesCa ? { checkServerIdentity: () => undefined } : { rejectUnauthorized: false };
}
