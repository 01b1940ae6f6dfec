/** What a refusal's status means to a client: to wait, or to say so. The same for the command and the page. */

/**
 * Statuses after which a later try may succeed. 409: the offset moved on, the next HEAD tells where
 * to. 423: another request holds the upload. 500: the service has failed, and keeps what it has.
 */
const TRANSIENT_STATUSES = new Set([408, 409, 423, 425, 429, 500, 502, 503, 504, 507]);

/** Of proxies and networks in front of a service that cannot reach it (Cloudflare: 520 to 530). */
function isOfEdge(status: number): boolean {
  return status >= 520 && status <= 530;
}

/** Whether trying again later may succeed. */
export function isTransientRefusal({ status, code }: { status: number; code: string }): boolean {
  // Bytes that the service has lost do not come back by asking again.
  return (TRANSIENT_STATUSES.has(status) || isOfEdge(status)) && code !== 'content_damaged';
}

/** Whether something on the way does not let a method through: POST can say it (tus 1.0.0, "X-HTTP-Method-Override"). */
export function isMethodRefusal(method: string, status: number): boolean {
  return method !== 'POST' && (status === 405 || status === 501);
}
