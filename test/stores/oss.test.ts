/** The OSS store on the strict double of OSS. */
import { PART } from '../harness/part.ts';
import { regionHost } from '../harness/oss/address.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { startOss } from '../harness/oss/oss.ts';
import { openOssStore } from '../../stores/oss/store.ts';
import { type Bucket, describeBucketStore } from './bucket-suite.ts';

await import(RESOLVE_HERE);

describeBucketStore('oss', openOssStore, async (): Promise<Bucket> => {
  const oss = await startOss();
  return {
    settings: {
      endpoint: oss.endpoint,
      region: oss.region,
      bucket: oss.bucket,
      prefix: 'tests/',
      accessKeyId: oss.accessKeyId,
      secretAccessKey: oss.secretAccessKey,
      bufferBytes: 64 * 1024 * 1024,
      partBytes: PART,
      pathStyle: null,
      endpointIsBucket: false,
    },
    port: oss.port,
    through: (port) => `http://${regionHost(oss.region)}:${port}`,
    stop: () => oss.stop(),
  };
});
