/** The steps on access: whether the bucket accepts the key pair, exists, and may be listed with it. */
import { checkBucket } from '../check.ts';
import { codeOf } from '../errors.ts';
import type { Step } from '../../section.ts';
import type { Target } from './target.ts';

/** Refusals that say nothing against the signature: the provider has accepted it, or looks at the bucket before. */
const SIGNED = new Set(['NoSuchBucket', 'AccessDenied', 'OtherAddressing', 'QuotaExceeded', 'UserSuspended']);

/** Both steps judge the answer to a single call. */
export function accessSteps({ client, bucket, prefix }: Target): Step[] {
  let answer: Promise<void> | undefined;
  return [
    {
      name: 'signature',
      tried: 'listing, signed with S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY',
      needs: ['clock'],
      run: async () => {
        answer = checkBucket(client, bucket, prefix);
        await answer.catch((error: unknown) => {
          if (!SIGNED.has(codeOf(error))) throw error;
        });
        return { found: 'the signature is accepted' };
      },
    },
    {
      name: 'bucket',
      tried: `listing ${bucket}`,
      needs: ['signature'],
      run: async () => {
        await answer;
        return { found: 'it is there, and may be listed' };
      },
    },
  ];
}
