/** Reading requests: query parameters and small bodies. */
import type { IncomingMessage } from 'node:http';
import { invalidField } from '../uploads/errors.ts';
import { bodyTooLarge, refusal } from './refusals.ts';
import type { Ctx } from './state.ts';

/** Largest body of a request that is not a file. */
const SMALL_BODY_BYTES = 16 * 1024;

/** Parameters that a query may have; no route reads a tenth as many. */
const MOST_PARAMS = 100;

const queries = new WeakMap<IncomingMessage, URLSearchParams>();

/** A query parameter; the first one where it is there more than once. @throws `invalid_request` when there are too many. */
export function param(ctx: Ctx, name: string): string | undefined {
  return queryOf(ctx).get(name) ?? undefined;
}

/** Koa's own `ctx.query` takes time in proportion to the square of the number of keys: the linter forbids it. */
function queryOf(ctx: Ctx): URLSearchParams {
  const known = queries.get(ctx.req);
  if (known) return known;
  const text = ctx.querystring;
  let count = 1;
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) count++;
  if (count > MOST_PARAMS) {
    throw refusal('invalid_request', { message: `The query must have at most ${MOST_PARAMS} parameters.` });
  }
  const query = new URLSearchParams(text);
  queries.set(ctx.req, query);
  return query;
}

/** @throws `invalid_field` when it is missing. */
export function requiredParam(ctx: Ctx, name: string): string {
  const value = param(ctx, name);
  if (value === undefined || value === '') throw invalidField(name, `${name} is required.`);
  return value;
}

/** A whole number within limits. @throws `invalid_field`. */
export function numberParam(ctx: Ctx, name: string, fallback: number, least: number, most: number): number {
  const given = param(ctx, name);
  if (given === undefined || given === '') return fallback;
  const value = Number(given);
  if (!/^\d+$/.test(given) || value < least || value > most) {
    throw invalidField(name, `${name} must be a whole number from ${least} to ${most}.`);
  }
  return value;
}

/** One of several words. @throws `invalid_field`. */
export function choiceParam<T extends string>(ctx: Ctx, name: string, choices: readonly T[], fallback: T): T {
  const given = param(ctx, name);
  if (given === undefined || given === '') return fallback;
  const choice = choices.find((value) => value === given);
  if (choice === undefined) throw invalidField(name, `${name} must be one of ${choices.join(', ')}.`);
  return choice;
}

/** A JSON object. @throws `unsupported_media_type`, `too_large`, `invalid_request`. */
export async function readJson(ctx: Ctx): Promise<Record<string, unknown>> {
  if (!ctx.request.is('json')) {
    throw refusal('unsupported_media_type', {
      field: 'Content-Type',
      message: 'Content-Type must be application/json.',
    });
  }
  const text = await readSmallBody(ctx.req);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Refused below.
  }
  throw refusal('invalid_request', { message: 'The body must be a JSON object.' });
}

/** Parameters as the older services read them: of the query and of a urlencoded body, the body's first. */
export async function formParams(ctx: Ctx): Promise<(name: string) => string | undefined> {
  const body = ctx.request.is('urlencoded') ? new URLSearchParams(await readSmallBody(ctx.req)) : undefined;
  return (name) => body?.get(name) ?? param(ctx, name);
}

async function readSmallBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += (chunk as Buffer).length;
    if (length > SMALL_BODY_BYTES) {
      throw bodyTooLarge(`The body must be at most ${SMALL_BODY_BYTES} bytes long.`);
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
