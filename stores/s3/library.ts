/** What @tus/s3-store does for a bucket. */
import type { S3 } from '@aws-sdk/client-s3';
import { S3Store } from '@tus/s3-store';
import type { ClientSetup } from './client.ts';

/**
 * Makes the SDK's client of a configuration, and names the extensions of tus that uploads in a bucket can have. A store
 * holds it and is none: the library's own way of bytes is not ours (decision 0011), and the client, which is protected
 * there, is all that has to be handed out.
 */
export class Library extends S3Store {
  constructor(config: ClientSetup['config']) {
    super({ s3ClientConfig: config, useTags: false });
  }

  get s3(): S3 {
    return this.client;
  }
}
