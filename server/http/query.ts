/** Reads query parameters and small bodies. */
import type { IncomingMessage } from 'node:http';
import { invalidField } from '../uploads/errors.ts';
import { bodyTooLarge, refusal } from './refusals.ts';
import type { Ctx } from './state.ts';

/** Largest body of a request that is not a file. */
const SMALL_BODY_BYTES = 16 * 1024;

/** The most parameters of a query; no route reads a tenth as many. */
const MOST_PARAMS = 100;

/** What is read of a request. */
export type Asked = Pick<Ctx, 'req' | 'querystring'>;

const queries = new WeakMap<IncomingMessage, URLSearchParams>();

/** A query parameter; the first one of several with the name. @throws `invalid_request` where the query has too many. */
export function param(ctx: Asked, name: string): string | undefined {
  return queryOf(ctx).get(name) ?? undefined;
}

/** All values of a query parameter. @throws as `param`. */
export function allParams(ctx: Asked, name: string): string[] {
  return queryOf(ctx).getAll(name);
}

/** In place of Koa's `ctx.query`, which takes quadratic time in the number of keys: the linter forbids it. */
function queryOf(ctx: Asked): URLSearchParams {
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

/** A query parameter. @throws `invalid_field` when it is missing or empty. */
export function requiredParam(ctx: Ctx, name: string): string {
  const value = param(ctx, name);
  if (value === undefined || value === '') throw invalidField(name, `${name} is required.`);
  return value;
}

/** A query parameter that is a whole number from `least` to `most`. @throws `invalid_field`. */
export function numberParam(ctx: Ctx, name: string, fallback: number, least: number, most: number): number {
  const given = param(ctx, name);
  if (given === undefined || given === '') return fallback;
  const value = Number(given);
  if (!/^\d+$/.test(given) || value < least || value > most) {
    throw invalidField(name, `${name} must be a whole number from ${least} to ${most}.`);
  }
  return value;
}

/** A query parameter that is one of `choices`. @throws `invalid_field`. */
export function choiceParam<T extends string>(ctx: Ctx, name: string, choices: readonly T[], fallback: T): T {
  const given = param(ctx, name);
  if (given === undefined || given === '') return fallback;
  const choice = choices.find((value) => value === given);
  if (choice === undefined) throw invalidField(name, `${name} must be one of ${choices.join(', ')}.`);
  return choice;
}

/** Reads a body that is a JSON object. @throws `unsupported_media_type`, `too_large`, `invalid_request`. */
export async function readJson(ctx: Ctx, mostBytes = SMALL_BODY_BYTES): Promise<Record<string, unknown>> {
  if (!ctx.request.is('json')) {
    throw refusal('unsupported_media_type', {
      field: 'Content-Type',
      message: 'Content-Type must be application/json.',
    });
  }
  const text = await readBody(ctx.req, mostBytes);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // Refused below.
  }
  throw refusal('invalid_request', { message: 'The body must be a JSON object.' });
}

/** Reads parameters as the older services do: from a urlencoded body, else from the query. @throws `too_large`. */
export async function formParams(ctx: Ctx): Promise<(name: string) => string | undefined> {
  const body = ctx.request.is('urlencoded') ? new URLSearchParams(await readBody(ctx.req)) : undefined;
  return (name) => body?.get(name) ?? param(ctx, name);
}

/** Reads a body that is a text. @throws `too_large`. */
export async function readBody(request: IncomingMessage, mostBytes = SMALL_BODY_BYTES): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += (chunk as Buffer).length;
    if (length > mostBytes) {
      throw bodyTooLarge(`The body must be at most ${mostBytes} bytes long.`);
    }
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
