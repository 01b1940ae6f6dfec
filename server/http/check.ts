/** GET /check: whether the service has a content of the asker's. POST /check: a proof that the asker has it. */
import {
  type Challenge,
  CHALLENGE_LIFE_MS,
  type CheckResult,
  type Files,
  type ResumePoint,
} from '../uploads/contract.ts';
import { invalidField } from '../uploads/errors.ts';
import { checkDigest, checkSize, formatContentName } from '../uploads/names.ts';
import { contentPath, filePath, uploadPath } from '../wire/addresses.ts';
import type { ChallengeJson, CheckJson, ProofJson, ResumeJson } from '../wire/check.ts';
import { cleanName } from '../wire/labels.ts';
import { describeFile } from './file-json.ts';
import { conflictParam, digestParam, nameParam, readConflict } from './labels.ts';
import { param, readJson, requiredParam } from './query.ts';
import { refusal } from './refusals.ts';
import type { Ctx, Handler } from './state.ts';

/** A header that tells a client that calls the API from a mere address in a page. */
const MARK = 'X-Requested-With';

export function checkRoute(files: Files): Handler {
  return async (ctx) => {
    const size = param(ctx, 'size');
    const sha256 = digestParam(ctx, 'sha256');
    const filename = nameParam(ctx, 'filename');
    const onConflict = conflictParam(ctx);
    // HEAD is a safe method: it must not add a file.
    const makesFile = filename !== undefined && ctx.method === 'GET';
    if (makesFile) refuseForeignPages(ctx);
    if (makesFile && onConflict === 'replace') requireMark(ctx);
    const result = await files.check({
      owner: ctx.state.owner,
      md5: checkDigest(requiredParam(ctx, 'md5'), 'md5', 'md5'),
      ...(size !== undefined ? { size: checkSize(size, 'size') } : {}),
      ...(sha256 !== null ? { sha256 } : {}),
      ...(makesFile ? { filename, ...(onConflict ? { onConflict } : {}) } : {}),
      ...(param(ctx, 'prove') === undefined ? {} : { isToProve: true }),
    });
    ctx.set('Cache-Control', 'no-store');
    ctx.body = describeCheck(ctx, result);
  };
}

export function proveRoute(files: Files): Handler {
  return async (ctx) => {
    const body: { [K in keyof ProofJson]?: unknown } = await readJson(ctx);
    const { size, codes, filename = null } = body;
    if (typeof size !== 'number') throw invalidField('size', 'size must be a whole number of bytes.');
    if (filename !== null && typeof filename !== 'string') throw invalidField('filename', 'filename must be a text.');
    const name = cleanName(filename ?? '');
    const onConflict = readConflict(body.onconflict);
    const result = await files.prove({
      owner: ctx.state.owner,
      md5: checkDigest(textOf(body, 'md5'), 'md5', 'md5'),
      size: checkSize(String(size), 'size'),
      sha256: checkDigest(textOf(body, 'sha256'), 'sha256', 'sha256'),
      token: textOf(body, 'token'),
      codes: readCodes(codes),
      ...(name === null ? {} : { filename: name, ...(onConflict ? { onConflict } : {}) }),
    });
    ctx.set('Cache-Control', 'no-store');
    ctx.body = describeCheck(ctx, result);
  };
}

function textOf(body: { [K in keyof ProofJson]?: unknown }, field: keyof ProofJson): string {
  const value = body[field];
  if (typeof value !== 'string') throw invalidField(field, `${field} is required, and must be a text.`);
  return value;
}

function readCodes(value: unknown): string[] {
  const isCode = (code: unknown): code is string => typeof code === 'string' && /^[0-9a-f]{16}$/i.test(code);
  if (!Array.isArray(value) || !value.every(isCode)) {
    throw invalidField('codes', 'codes must be a list of texts of 16 hexadecimal digits, one for each range.');
  }
  return value.map((code) => code.toLowerCase());
}

/**
 * Refuses requests of pages of other origins. Such a page can send a GET by an `<img>`, which has no Origin; but browsers say
 * where it comes from in Sec-Fetch-Site (Fetch Metadata).
 */
function refuseForeignPages(ctx: Ctx): void {
  const from = ctx.get('Sec-Fetch-Site');
  if (from === '' || from === 'same-origin' || from === 'none') return;
  throw refusal('origin_not_allowed', {
    field: 'Sec-Fetch-Site',
    message: 'With filename, which makes a file, only the pages of the service itself may ask. Ask without filename.',
  });
}

/**
 * Refuses a request that would delete a file, and that a page of another origin can send: browsers send no Sec-Fetch-Site to an
 * address with `http:`, and with it the name and password that they were asked for (Basic). A header of its own they send for such a page only after they have asked the service (CORS).
 */
function requireMark(ctx: Ctx): void {
  if (ctx.get(MARK) !== '' || /^Bearer /i.test(ctx.get('Authorization'))) return;
  throw refusal('origin_not_allowed', {
    field: MARK,
    message: `With onconflict=replace, which deletes a file, the request must have the header ${MARK}, with any value.`,
  });
}

/** The JSON of the answer to a check. */
export function describeCheck(ctx: Ctx, result: CheckResult): CheckJson {
  const { baseUrl } = ctx.state;
  if (result.status === 'exists') {
    const { file, content } = result;
    const url = baseUrl + (file ? filePath(file) : contentPath(formatContentName(content)));
    return { status: 'exists', url, ...(file ? { file: describeFile(file, baseUrl) } : {}) };
  }
  const { status, resume, challenge } = result;
  return {
    status,
    ...(resume ? { resume: describeResume(resume, baseUrl) } : {}),
    ...(challenge ? { challenge: describeChallenge(challenge) } : {}),
  };
}

function describeChallenge({ token, ranges }: Challenge): ChallengeJson {
  return {
    token,
    ranges: ranges.map(({ start, end }) => [start, end]),
    expiresInSeconds: CHALLENGE_LIFE_MS / 1000,
  };
}

function describeResume({ uploadId, offset, length, idleSeconds }: ResumePoint, baseUrl: string): ResumeJson {
  return { url: baseUrl + uploadPath(uploadId), offset, length, idle: idleSeconds };
}
