/**
 * TLS as an address asks for it: `sslmode`, `sslrootcert`, `sslcert` and `sslkey`, with the meaning that libpq gives
 * them. To pg itself all modes but one are `verify-full`, and its next major version changes that.
 *
 * PostgreSQL: "34.19. SSL Support".
 */
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { CatalogError } from '../catalog.ts';

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

type Mode = (typeof MODES)[number];

/** What pg is not to read in the address: it would go by its own meaning of them. */
const READ_HERE = ['ssl', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslpassword', 'uselibpqcompat'];

export interface TlsOfAddress {
  /** The address without what is said about TLS. */
  url: string;
  ssl: ConnectionOptions | false;
  /** A server without TLS will do. */
  isOptional: boolean;
}

/**
 * Reads what an address says about TLS, and the files that it names.
 *
 * @param ca - certificates in PEM that are trusted in place of the machine's (`DATABASE_CA_FILE`).
 * @param name - of the catalog, for people.
 * @throws CatalogError `unavailable` when it cannot be meant, or a file cannot be read.
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
  // Any owner of a certificate of a public CA would pass for the server.
  if (mode === 'verify-ca' && trusted === undefined)
    throw refuse('has sslmode=verify-ca, which needs a CA of your own: set DATABASE_CA_FILE, or take verify-full');
  const [cert, key] = [read('sslcert'), read('sslkey')];
  // A server reached through a socket of the machine has no TLS.
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

/** Who names a CA means it: libpq would look at no certificate as long as no mode is given. */
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
