/** What this store uses of @tus/s3-store. */
import type { S3 } from '@aws-sdk/client-s3';
import { S3Store } from '@tus/s3-store';
import type { ClientSetup } from './client.ts';

/**
 * Makes the SDK's client, and names the extensions of tus that uploads in a bucket can have. The store contains the library
 * instead of extending it, as it moves bytes in another way (decision 0011). This class only exposes the library's client,
 * which is protected.
 */
export class Library extends S3Store {
  constructor(config: ClientSetup['config']) {
    super({ s3ClientConfig: config, useTags: false });
  }

  get s3(): S3 {
    return this.client;
  }
}
