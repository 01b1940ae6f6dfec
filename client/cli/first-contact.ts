/** Explains why the command does not reach the service, and what refusals of the first requests mean. */
import { CliError, ServiceError, TransportError } from './errors.ts';

/** How long to retry before the first answer: a service that is just starting answers within it, a wrong address never. */
const FIRST_CONTACT_MS = 4_000;

/** Codes of errors where no server listens at the address, or its name is unknown. */
const NOBODY_THERE = new Set(['econnrefused', 'enotfound', 'eai_again']);
const BAD_CERTIFICATE = /^(?:cert_|depth_zero_|self_signed_|unable_to_|err_tls_cert_)/;
const NOT_TLS = /^(?:eproto|err_ssl_.*)$/;
const NOT_HTTP = /^hpe_/;
/** The answers of nginx, Go and others to plain HTTP on a port for TLS. */
const WANTS_TLS = /plain HTTP request was sent to HTTPS port|HTTP request to an HTTPS server/i;

/** What helps against 407. */
export const ASKS_FOR_NAME = 'it asks for a name and a password, HTTP_PROXY=http://name:password@host:port';

/** Everything else that the command still has to do would fail in the same way. */
export class HopelessError extends CliError {
  constructor(code: string, message: string, cause: unknown) {
    super(code, message, { cause });
    this.name = 'HopelessError';
  }
}

/** Nothing has answered at all. */
class NobodyThereError extends TransportError {}

/** Whether the next file would meet the same error: the service cannot be reached, or rejects the token. */
export function isHopeless(error: unknown): boolean {
  const cause = error instanceof CliError && error.code === 'gave_up' ? error.cause : error;
  if (cause instanceof HopelessError || (cause instanceof ServiceError && cause.status === 401)) return true;
  return cause instanceof NobodyThereError;
}

/** How a request was sent: directly or through a proxy. */
export interface Way {
  serverUrl: string;
  /** `host:port` of the proxy to the service; null where there is none. */
  proxy: string | null;
  /** Whether the service has answered before: then a failure is likely to be temporary. */
  met: boolean;
  /** Whether the user has set `--retry-for`, which then counts before the first answer, too. */
  persistent: boolean;
}

/** Explains an error of the connection. @returns a clearer error, or the same one. */
export function explainFailure(error: unknown, { serverUrl, proxy, met, persistent }: Way): unknown {
  if (!(error instanceof TransportError)) return error;
  const { code, message } = error;
  if (!met && NOT_TLS.test(code) && serverUrl.startsWith('https:')) {
    return new HopelessError('not_https', `${serverUrl} does not speak https; is it http there?`, error);
  }
  if (BAD_CERTIFICATE.test(code)) {
    const whose = proxy === null ? serverUrl : `${serverUrl}, or of the proxy ${proxy},`;
    const what = `the certificate of ${whose} is not trusted (${message})`;
    return new HopelessError('bad_certificate', `${what}; NODE_EXTRA_CA_CERTS names one that is to be`, error);
  }
  if (met) return error;
  if (NOT_HTTP.test(code)) {
    return new HopelessError(
      'protocol',
      `what answers at ${serverUrl} does not speak HTTP; is the address right?`,
      error,
    );
  }
  if (!NOBODY_THERE.has(code)) return error;
  const what =
    proxy === null
      ? `there is no service at ${serverUrl} (${message}); --server or TIDEMARK_SERVER gives another address`
      : `there is no proxy at ${proxy} (${message}); HTTP_PROXY or HTTPS_PROXY names it, NO_PROXY says where it is not used`;
  return new NobodyThereError(code, what, { cause: error, patienceMs: persistent ? null : FIRST_CONTACT_MS });
}

/**
 * Explains a failed request to the store to which the service has redirected. Never shows the whole address, with which
 * anyone could read the content.
 */
export function explainStoreFailure(error: unknown, address: string): unknown {
  const { origin } = new URL(address);
  const explained = explainFailure(error, { serverUrl: origin, proxy: null, met: true, persistent: true });
  if (!(explained instanceof TransportError)) return explained;
  const { code, message } = explained;
  return new TransportError(code, `the service sends us on to its store, ${origin}: ${message}`, { cause: error });
}

/** Explains a refusal that no retry would change; undefined where the service's own message says enough. */
export function explainRefusal(status: number, code: string, body: string, hasToken: boolean): string | undefined {
  if (status === 401) {
    return hasToken
      ? 'The service does not know this token; TIDEMARK_TOKEN or --token gives another.'
      : 'The service asks for a token: put it into TIDEMARK_TOKEN.';
  }
  if (code !== 'http_error') return undefined;
  if (status === 400 && WANTS_TLS.test(body)) return 'The server expects https; write https:// in its address.';
  if (status === 407) return `A proxy answers in place of the service: ${ASKS_FOR_NAME}.`;
  if (status === 413) {
    return 'Something in front of the service accepts no request of this size; --chunk-size 16KiB sends smaller ones.';
  }
  return undefined;
}
