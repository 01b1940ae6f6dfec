/**
 * The endpoint of "Resumable Uploads for HTTP": on /uploads beside tus, over the same uploads, and on a target that also
 * takes ordinary uploads. See docs/decisions/0049-a-second-protocol.md.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Middleware } from 'koa';
import { Refusal } from '../../refusal.ts';
import { TidemarkError } from '../../uploads/errors.ts';
import { create, isResumable, receiveOrdinary } from './creation.ts';
import { DIALECTS, dialectOf } from './dialects.ts';
import { integerField, PARTIAL_TYPE } from './fields.ts';
import { writeLimit } from './limits.ts';
import { protocolOf } from '../spoken.ts';
import { invalidHeader, problemOf, refusal, refusalOf } from './refusals.ts';
import { partsFor, readDialect, type RufhContext, type RufhParts, type RufhState, setState } from './requests.ts';
import { append, cancel, tellState } from './resource.ts';

export interface RufhEndpoint {
  /** Answers requests of this protocol on /uploads and below. */
  readonly onUploads: Middleware<RufhState>;
  /** Answers a POST to a target of its own, whether it is resumable or an ordinary upload. */
  readonly onTarget: Middleware<RufhState>;
  /** The headers that announce the protocol on OPTIONS of a target ("Limits"). */
  readonly announced: (headers: IncomingHttpHeaders) => Record<string, string>;
}

/** Codes that are the target's own answer: resuming would change nothing. */
const FINAL_CODES = new Set(['digest_mismatch']);

type Answer = (ctx: RufhContext, parts: RufhParts) => Promise<void>;

const ON_TARGET: Readonly<Record<string, Answer>> = { POST: createOrReceive, PUT: createOrReceive };
const ON_UPLOAD: Readonly<Record<string, Answer>> = { HEAD: tellState, GET: tellState, PATCH: append, DELETE: cancel };

/** Makes the endpoint. */
export function createRufhEndpoint(parts: RufhParts): RufhEndpoint {
  return {
    onUploads: async (ctx) => {
      // The middleware around marks every answer below /uploads as one of tus.
      ctx.remove('Tus-Resumable');
      await withProblems(ctx, async () => {
        const answers = /^\/uploads\/?$/.test(ctx.path) ? ON_TARGET : ON_UPLOAD;
        const answer = answers[ctx.method];
        if (!answer) {
          const allowed = [...Object.keys(answers), 'OPTIONS'].join(', ');
          throw refusal('method_not_allowed', { headers: { Allow: allowed } });
        }
        await answer(ctx, partsFor(ctx, parts));
      });
    },
    onTarget: async (ctx) => {
      refuseTus(ctx);
      if (isResumable(ctx)) await withProblems(ctx, () => create(ctx, parts));
      else await receiveOrdinary(ctx, parts);
    },
    announced: (headers) => ({
      'Upload-Limit': writeLimit(parts.limits, dialectIn(headers)),
      'Accept-Patch': PARTIAL_TYPE,
    }),
  };
}

/** A tus client asks for an empty upload, and an ordinary request without a body makes an empty file. @throws Refusal. */
function refuseTus({ req }: RufhContext): void {
  if (protocolOf(req.headers) !== 'tus') return;
  throw invalidHeader('Tus-Resumable', 'tus uploads are created at /uploads.');
}

async function createOrReceive(ctx: RufhContext, parts: RufhParts): Promise<void> {
  if (isResumable(ctx)) await create(ctx, parts);
  else await receiveOrdinary(ctx, parts);
}

function dialectIn(headers: IncomingHttpHeaders): Parameters<typeof writeLimit>[1] {
  return dialectOf(integerField(headers, 'Upload-Draft-Interop-Version')) ?? (DIALECTS[0] as (typeof DIALECTS)[number]);
}

/** The upload that this request created goes on, as after a failure on our side: content has to be sent again, or room to be made. */
const RESUMABLE_CODES: ReadonlySet<string> = new Set(['checksum_mismatch', 'over_quota']);

/** Answers refusals with problem documents. */
async function withProblems(ctx: RufhContext, answer: () => Promise<void>): Promise<void> {
  try {
    await answer();
  } catch (error) {
    const refused = error instanceof TidemarkError ? refusalOf(error) : error;
    if (!(refused instanceof Refusal)) throw error;
    ctx.state.failure = refused;
    const dialect = readDialect(ctx);
    if (dialect) ctx.set('Upload-Draft-Interop-Version', String(dialect.version));
    if (dialect && (FINAL_CODES.has(refused.code) || refused.code === 'offset_conflict')) {
      setState(ctx, dialect, { isComplete: FINAL_CODES.has(refused.code) });
    }
    if (refused.status < 500 && !RESUMABLE_CODES.has(refused.code)) ctx.remove('Location');
    ctx.set(refused.headers);
    ctx.set('Cache-Control', 'no-store');
    ctx.status = refused.status;
    ctx.body = JSON.stringify(problemOf(refused, integerField(ctx.req.headers, 'Upload-Offset')));
    ctx.type = 'application/problem+json';
  }
}
