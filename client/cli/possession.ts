/** Proves to the service that this machine has a file: see core/possession.ts. */
import { createHmac } from 'node:crypto';
import type { CheckJson, ProofJson } from '../../server/wire/check.ts';
import { type Challenged, provePossession as provePossessionBy } from '../core/possession.ts';
import type { Bytes } from '../core/proof.ts';
import { ask } from './context.ts';
import type { Context } from './context.ts';
import { ServiceError } from './errors.ts';
import type { LocalFile } from './local-file.ts';

/** See `ProofJson`. */
const CODE_DIGITS = 16;

/**
 * As `provePossession` of core/possession.ts, with retries, for this run's service.
 *
 * @param about - the file that the reports of waits name.
 */
export function provePossession(
  context: Context,
  about: string,
  answer: CheckJson,
  file: LocalFile,
  { md5, sha256, size, ...named }: Bytes & Pick<ProofJson, 'filename' | 'onconflict'>,
): Promise<CheckJson> {
  const { service, signal } = context;
  const claim = { md5, sha256, size, ...named };
  return provePossessionBy(answer, claim, {
    codesOf: (challenged) => codesOf(file, challenged, signal),
    send: (proof) => ask(context, about, () => service.prove(proof, signal)),
    isFinal: (error) => error instanceof ServiceError,
  });
}

async function codesOf(file: LocalFile, { token, ranges }: Challenged, signal: AbortSignal): Promise<string[]> {
  const codes: string[] = [];
  for (const { start, end } of ranges) {
    signal.throwIfAborted();
    const hmac = createHmac('sha256', token);
    for await (const chunk of file.read(start, end)) hmac.update(chunk);
    codes.push(hmac.digest('hex').slice(0, CODE_DIGITS));
  }
  return codes;
}
