/** Proves to the service that the user has a file: see core/possession.ts. */
import type { CheckJson } from '../../../server/wire/check.ts';
import { isWorthProving, provePossession } from '../../core/possession.ts';
import { isTransientRefusal, NO_ANSWER } from '../../core/refusals.ts';
import { ApiError, check, prove } from './api.ts';
import { contentOf, namedAs } from './compare.ts';
import { computeCodes } from './hasher.ts';
import type { Item } from './item.ts';

/** Asks whether the service has the item's content; once for each item, proves to have it. */
export async function checkByProof(item: Item, file: File): Promise<CheckJson> {
  const { md5, sha256, size, turn } = item;
  if (md5 === null || sha256 === null || item.isProofRefused || !isWorthProving(size)) {
    return check(contentOf(item), namedAs(item));
  }
  const answer = await check(contentOf(item), { ...namedAs(item), prove: true });
  if (item.turn !== turn) return answer;
  const proved = await provePossession(
    answer,
    { md5, sha256, size, ...namedAs(item) },
    {
      codesOf: (challenged) => computeCodes(file, challenged),
      send: prove,
      isFinal: (error) => error instanceof ApiError && error.code !== NO_ANSWER && !isTransientRefusal(error),
    },
  );
  item.isProofRefused = proved.status !== 'exists';
  return proved;
}
