/** Whether the key pair is taken, and the bucket is there for it. */
import { checkBucket } from '../check.ts';
import { codeOf } from '../errors.ts';
import type { Step } from '../../section.ts';
import type { Target } from './target.ts';

/** Refusals of a request whose signature was found right; for its region, too, a bucket is asked first. */
const SIGNED = new Set(['NoSuchBucket', 'AccessDenied', 'OtherAddressing', 'QuotaExceeded', 'UserSuspended']);

/** Both steps look at the answer to one call. */
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
