/** GET /check: whether the service has a content already. */
import type { CheckResult, Files, ResumePoint } from '../uploads/contract.ts';
import { checkDigest, checkSize, formatContentName } from '../uploads/names.ts';
import { contentPath, filePath, uploadPath } from '../wire/addresses.ts';
import type { CheckJson, ResumeJson } from '../wire/check.ts';
import { describeFile } from './file-json.ts';
import { digestParam, nameParam } from './labels.ts';
import { param, requiredParam } from './query.ts';
import { refusal } from './refusals.ts';
import type { Ctx, Handler } from './state.ts';

export function checkRoute(files: Files): Handler {
  return async (ctx) => {
    const size = param(ctx, 'size');
    const sha256 = digestParam(ctx, 'sha256');
    const filename = nameParam(ctx, 'filename');
    // HEAD is a safe method: it must not add a file.
    const makesFile = filename !== undefined && ctx.method === 'GET';
    if (makesFile) refuseForeignPages(ctx);
    const result = await files.check({
      owner: ctx.state.owner,
      md5: checkDigest(requiredParam(ctx, 'md5'), 'md5', 'md5'),
      ...(size !== undefined ? { size: checkSize(size, 'size') } : {}),
      ...(sha256 !== null ? { sha256 } : {}),
      ...(makesFile ? { filename } : {}),
    });
    ctx.set('Cache-Control', 'no-store');
    ctx.body = describeCheck(ctx, result);
  };
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

/** The JSON of the answer to a check. */
export function describeCheck(ctx: Ctx, result: CheckResult): CheckJson {
  const { baseUrl } = ctx.state;
  if (result.status === 'exists') {
    const { file, content } = result;
    const url = baseUrl + (file ? filePath(file) : contentPath(formatContentName(content)));
    return { status: 'exists', url, ...(file ? { file: describeFile(file, baseUrl) } : {}) };
  }
  return { status: result.status, ...(result.resume ? { resume: describeResume(result.resume, baseUrl) } : {}) };
}

function describeResume({ uploadId, offset, length, idleSeconds }: ResumePoint, baseUrl: string): ResumeJson {
  return { url: baseUrl + uploadPath(uploadId), offset, length, idle: idleSeconds };
}
