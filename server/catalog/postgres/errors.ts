/** Translates PostgreSQL's errors. */
import { DatabaseError } from 'pg';
import { CatalogError } from '../catalog.ts';
import type { CatalogErrorCode } from '../catalog.ts';

/** The transaction was not committed, so that it can be retried, and may well succeed then. */
class UndoneError extends CatalogError {}

/** Whether the method that threw it may be called again. */
export function isUndone(error: unknown): boolean {
  return error instanceof UndoneError;
}

/** pg's message when `query_timeout` has passed. */
const NO_ANSWER = 'Query read timeout';
/** read_only_sql_transaction: the server is a standby now, or was set so. */
const READ_ONLY = '25006';

/** pg's message where the server does not offer TLS. */
const NO_TLS = 'The server does not support SSL connections';

/** The certificate is not issued by a trusted CA (Node: "X509 certificate error codes"). */
const NOT_TRUSTED = 'has a certificate that is not trusted here: name its CA in DATABASE_CA_FILE';

/** Why connecting failed. */
const UNREACHABLE: Record<string, string> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: NOT_TRUSTED,
  SELF_SIGNED_CERT_IN_CHAIN: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT: NOT_TRUSTED,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: NOT_TRUSTED,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: NOT_TRUSTED,
  CERT_SIGNATURE_FAILURE: NOT_TRUSTED,
  CERT_HAS_EXPIRED: 'has a certificate that has expired',
  CERT_NOT_YET_VALID: 'has a certificate that is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'has a certificate of another name: check the host in DATABASE_URL',
};

/** Errors that make the database as a whole unusable. PostgreSQL: "Appendix A. PostgreSQL Error Codes". */
const UNAVAILABLE: Record<string, string> = {
  '28P01': 'refuses the password',
  '28000': 'refuses the user',
  '3D000': 'does not exist on its server',
  '42501': 'withholds a right that is needed',
  [READ_ONLY]: 'can only be read',
  '25P03': 'has ended a transaction that stood still',
  '53000': 'has too little of what it needs',
  '53200': 'has too little memory',
  '53300': 'has no connection left',
  '55P03': 'is locked',
  '57014': 'took too long',
  '57P01': 'is being shut down',
  '57P02': 'has crashed, and comes back',
  '57P03': 'is starting or stopping',
  '57P05': 'has ended a connection that was idle',
  '58000': 'cannot use its disk',
  '58030': 'cannot use its disk',
};

/**
 * Conflicts of concurrent transactions: serialization_failure, deadlock_detected; and unique_violation, where another
 * transaction inserted the row after this one had looked for it: the retry finds it.
 */
const IN_THE_WAY: Record<string, CatalogErrorCode> = {
  '40001': 'unavailable',
  '40P01': 'unavailable',
  '23505': 'failed',
};

/**
 * Translates an error of pg; a CatalogError stays as it is.
 *
 * @param name - the catalog's name in messages.
 * @param mayBeDone - whether the transaction may have been committed when the connection was lost.
 */
export function toCatalogError(error: unknown, name: string, mayBeDone: boolean): CatalogError {
  if (error instanceof CatalogError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (!isLost(error)) return fromServer(error as DatabaseError, name, message);
  const code = (error as { code?: string }).code;
  const reason = reasonOf(code, message);
  const sentence = `the catalog ${name} ${reason} (${code === undefined ? message : `${code}: ${message}`})`;
  // After a timeout, a retry would take as long again, and a request waits for it.
  return mayBeDone || message === NO_ANSWER
    ? new CatalogError('unavailable', sentence, error)
    : new UndoneError('unavailable', sentence, error);
}

function reasonOf(code: string | undefined, message: string): string {
  if (message === NO_TLS) return 'offers no TLS, and sslmode in its address asks for it';
  return (code !== undefined ? (UNAVAILABLE[code] ?? UNREACHABLE[code]) : undefined) ?? 'cannot be reached';
}

/** Whether connecting failed because the server offers no TLS. */
export function hasNoTls(error: unknown): boolean {
  return error instanceof Error && error.message === NO_TLS;
}

/** Whether the connection must not be used again. Where the server is read-only now, another one may have replaced it. */
export function isOfNoUse(error: unknown): boolean {
  return isLost(error) || (error as DatabaseError).code === READ_ONLY;
}

/** Whether the connection is lost: the server ended it, or something else did. */
function isLost(error: unknown): boolean {
  return !(error instanceof DatabaseError) || error.severity === 'FATAL' || error.severity === 'PANIC';
}

/**
 * Whether the server ended the connection instead of executing a statement, or while it waited for one. The server does not
 * send these codes after a commit, not even while the commit waits for a standby (PostgreSQL: SyncRepWaitForLSN).
 */
export function isInterrupted(error: unknown): boolean {
  return error instanceof DatabaseError && (error.code === '57P01' || error.code === '57P05');
}

function fromServer(error: DatabaseError, name: string, message: string): CatalogError {
  const code = error.code ?? '';
  const detail = `(${code}: ${message})`;
  if (code === '53100') return new CatalogError('full', `the catalog ${name} has no room left`, error);
  const inTheWay = IN_THE_WAY[code];
  if (inTheWay) return new UndoneError(inTheWay, `the catalog ${name} failed ${detail}`, error);
  const reason = UNAVAILABLE[code];
  if (reason) return new CatalogError('unavailable', `the catalog ${name} ${reason} ${detail}`, error);
  return new CatalogError('failed', `the catalog ${name} failed ${detail}`, error);
}
