/** The calls to the bucket, one function each: with retries, with time limits, and with their errors translated. */
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { StoreError } from '../store.ts';
import { type Surroundings, SYSTEM } from '../surroundings.ts';
import { call, type Calling, type Clients } from './calls.ts';
import { checkBucket } from './check.ts';
import { describe } from './errors.ts';
import { createMultiparts, ignoringMissing, type Multiparts } from './multiparts.ts';
import { createReading, type Reading } from './reading.ts';
import type { CallOptions } from './retry.ts';
import type { Preset } from './settings.ts';
import { createStoring, type Storing } from './storing.ts';

export { addHeaders } from './headers.ts';

/** All calls. */
export interface Objects extends Storing, Reading, Multiparts {
  /** The surroundings of these calls; callers that wait use them, too. */
  readonly surroundings: Surroundings;
  remove(key: string): Promise<void>;
  /** Checks the bucket. @throws StoreError that says in a sentence what is wrong. */
  check(prefix: string): Promise<void>;
}

/** Makes the calls to one bucket. */
export function createObjects(
  { client, sender }: Clients,
  bucket: string,
  preset: Preset,
  closing: AbortSignal,
  {
    surroundings = SYSTEM,
    patience = {},
    bucketName = bucket,
  }: { surroundings?: Surroundings; patience?: CallOptions; bucketName?: string } = {},
): Objects {
  const calling: Calling = { client, sender, bucket, bucketName, preset, closing, surroundings, patience };
  return {
    surroundings,
    ...createStoring(calling),
    ...createReading(calling),
    ...createMultiparts(calling),

    remove: async (key) => {
      await ignoringMissing(() =>
        call(calling, `removing ${key}`, (options) =>
          client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }), options),
        ),
      );
    },

    check: async (prefix) => {
      try {
        await checkBucket(client, bucket, prefix, { signal: closing, surroundings });
      } catch (error) {
        throw new StoreError('unavailable', `the bucket ${bucket} cannot be used: ${describe(error)}`, error);
      }
    },
  };
}
