/** One request of the table, and what holds of every answer, whatever the route and the asker. */
import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { type Answer, send } from '../../harness/tus.ts';

/** A request below a service's address. */
export interface Ask {
  method: string;
  /** With its query. */
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  /** The path is sent as it is, also where a URL has no such path. */
  isRaw?: boolean;
  /** The answer has no end: what comes first is all of it. */
  endless?: boolean;
}

const page = await readFile(fileURLToPath(new URL('../../../../docs/http-api.md', import.meta.url)), 'utf8');

/** Statuses by their codes, as docs/http-api.md has them. */
const DOCUMENTED = new Map(
  [...page.matchAll(/^\| `(\w+)` \| (\d{3}) \|/gm)].map(([, code = '', status]) => [code, Number(status)]),
);

/** What only the inside of the service would say. */
const INSIDES = /\n\s+at |node_modules|node:internal|\.[jt]s:\d+|SQLITE_|ENOENT|EACCES|\/files\/tmp_/;

const ID = /^[\w.:-]+$/;
const BELOW_UPLOADS = /^\/uploads(?:\/|$)/;
/** Where the older API says more of a refusal. */
const WITH_STATUS = /^\/(?:check|upload|file\/.*)$/;

/** Sends a request and looks at what every answer must have. */
export async function ask(base: string, request: Ask): Promise<Answer> {
  const answer = await sendAsk(base, request);
  expectWellFormed(answer, request);
  return answer;
}

/** Sends a request. */
export function sendAsk(base: string, request: Ask): Promise<Answer> {
  const { method, path, headers = {}, body, isRaw = false, endless = false } = request;
  const options = { headers, ...(body === undefined ? {} : { body }), ...(isRaw ? { rawPath: path } : {}) };
  if (endless && method === 'GET') return begin(base + path, headers);
  return send(method, isRaw ? base : base + path, options);
}

const texts = new WeakMap<Answer, string>();

/** A whole answer but for what is of one request, or of one connection, alone. */
export function textOf(answer: Answer): string {
  const known = texts.get(answer);
  if (known !== undefined) return known;
  const { status, headers, body } = bare(answer);
  const text = `${status} ${JSON.stringify(headers)} ${body}`;
  texts.set(answer, text);
  return text;
}

/** Without what is of one connection alone: a balancer may send the body after the answer. */
export function bare({ headers, ...answer }: Answer): Answer {
  const { date: _date, 'x-request-id': _id, connection: _connection, 'keep-alive': _alive, ...kept } = headers;
  return { ...answer, headers: kept };
}

function idOf({ headers }: Answer): string {
  return String(headers['x-request-id'] ?? '');
}

const wellFormed = new Set<string>();

/** Fails unless an answer has what every answer must have. Most are alike, and are looked at once. @throws AssertionError. */
export function expectWellFormed(answer: Answer, asked: Ask): void {
  const [pathname = ''] = asked.path.split('?');
  // By the path and the method there is more to have; the id of the request is another one in each.
  const kinds = [BELOW_UPLOADS.test(pathname), WITH_STATUS.test(pathname), ID.test(idOf(answer))];
  const seen = [asked.method, ...kinds, asked.headers?.['Accept'], textOf(answer)].join(' ');
  if (wellFormed.has(seen)) return;
  expectForm(answer, asked);
  wellFormed.add(seen);
}

/**
 * Every refusal is JSON with a code that is documented for its status, and tells nothing of the inside;
 * every answer can be found in the log, and below /uploads names the protocol.
 */
function expectForm(answer: Answer, { method, path, headers: asked }: Ask): void {
  const { status, headers, body } = answer;
  // Browsers get pages below /s/.
  if (asked?.['Accept'] !== undefined && (headers['content-type'] ?? '').startsWith('text/html;')) return;
  const label = `${method} ${path.slice(0, 100)}: ${status} ${body.slice(0, 300)}`;
  const [pathname = ''] = path.split('?');
  expect(idOf(answer), label).toMatch(ID);
  expect(headers['x-content-type-options'], label).toBe('nosniff');
  const isRufh = headers['upload-draft-interop-version'] !== undefined;
  if (BELOW_UPLOADS.test(pathname) && !isRufh) expect(headers['tus-resumable'], label).toBe('1.0.0');
  if (method === 'HEAD' || status === 204 || status === 304) expect(body, label).toBe('');
  if (status < 400) return;
  expect(headers['cache-control'], label).toBe('no-store');
  const type = isRufh ? 'application/problem+json' : 'application/json; charset=utf-8';
  expect(headers['content-type'], label).toBe(type);
  if (method === 'HEAD') return;
  expect(body, label).not.toMatch(INSIDES);
  if (isRufh) {
    expectProblem(JSON.parse(body) as Record<string, unknown>, status, label);
    return;
  }
  const { error, ...rest } = JSON.parse(body) as { error: Record<string, unknown> };
  expect(rest, label).toEqual(WITH_STATUS.test(pathname) ? { status: 'error' } : {});
  const { code, message, field, ...more } = error;
  expect(more, label).toEqual({});
  expect(message, label).toMatch(/^\S.*\.$/s);
  if (field !== undefined) expect(field, label).toMatch(/^\S+$/);
  expect(DOCUMENTED.get(String(code)), `${label}; docs/http-api.md`).toBe(status);
}

/** Problem documents (RFC 9457) have the service's code and field, too. */
function expectProblem(problem: Record<string, unknown>, status: number, label: string): void {
  const { type, title, status: told, detail, code, field = 'none', ...more } = problem;
  expect(
    Object.keys(more).filter((name) => !/^(?:expected|provided)-offset$/.test(name)),
    label,
  ).toEqual([]);
  expect(
    [type, title, code].map((text) => typeof text),
    label,
  ).toEqual(['string', 'string', 'string']);
  expect(told, label).toBe(status);
  expect(detail, label).toMatch(/^\S.*\.$/s);
  expect(field, label).toMatch(/^\S+$/);
}

/** The head of an answer without end, and what it begins with. */
function begin(url: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { headers, agent: false }, (response) => {
      let body = '';
      const end = (): void => {
        request.destroy();
        const { statusCode: status = 0 } = response;
        const code = status < 400 ? undefined : (JSON.parse(body) as { error: { code: string } }).error.code;
        resolve({ status, headers: response.headers, body, code });
      };
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
        if (response.statusCode === 200 && body.includes('data: ')) end();
      });
      response.on('end', end);
    });
    request.on('error', reject);
    request.end();
  });
}

/** What differs between two answers that say the same: moments, and what is random. */
const OWN_TO_ONE: [RegExp, string][] = [
  [/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>'],
  [/\b[0-9a-f]{64}\b/g, '<sha256>'],
  [/\b[0-9a-f]{40}\b/g, '<sha1>'],
  [/\b[0-9a-f]{32}(?:\.[\w-]{16})?\b/g, '<md5>'],
  [/\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+Z)?/g, '<time>'],
  [/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT/g, '<time>'],
  [/(nonce[-=]\\*["']?)[\w+/]{22}==/g, '$1<nonce>'],
  [/(id: )[0-9a-f]{8}-\d+/g, '$1<event>'],
  // Seconds since the last byte, in JSON or a header.
  [/(idle\\?":"?)\d+/g, '$1<seconds>'],
  // Seconds that are left.
  [/((?:max-age|expires)=)\d+/g, '$1<seconds>'],
  [/(\/s\/)[\w-]{32}/g, '$1<secret>'],
  [/(tidemark_ticket=|tidemark_link=)[^;]+/g, '$1<ticket>'],
  [/(token\\*":\\*")[0-9a-f]+/g, '$1<token>'],
  [/(deletion\\*":\\*")[\w-]+/g, '$1<deletion>'],
];

/**
 * A whole answer but for its date, the id of the request, and what differs between any two things.
 *
 * @param name - of the thing that it is about; names are as long as each other.
 */
export function wholeOf({ status, headers, body }: Answer, name: string): unknown {
  const { date: _date, 'x-request-id': _id, ...kept } = headers;
  let text = JSON.stringify({ headers: kept, body }).replaceAll(name, '<name>');
  for (const [pattern, mark] of OWN_TO_ONE) text = text.replaceAll(pattern, mark);
  return { status, ...(JSON.parse(text) as object) };
}
