/** The Ceph store on a real Ceph; skipped where there is none. */
import { PART } from '../harness/part.ts';
import { describe } from 'vitest';
import { openCephStore } from '../../stores/ceph/store.ts';
import { CEPH_MISSING } from '../harness/rgw.ts';
import { openSharedRgw } from '../harness/shared-ceph.ts';
import { type Bucket, describeBucketStore } from './bucket-suite.ts';

if (CEPH_MISSING !== undefined) console.warn(`skipped: ${CEPH_MISSING}`);

describe.skipIf(CEPH_MISSING !== undefined)('Ceph', () => {
  describeBucketStore('ceph', openCephStore, startBucket);
});

async function startBucket(): Promise<Bucket> {
  const rgw = await openSharedRgw();
  return {
    settings: {
      endpoint: rgw.endpoint,
      region: rgw.region,
      bucket: rgw.bucket,
      prefix: 'tests/',
      accessKeyId: rgw.accessKeyId,
      secretAccessKey: rgw.secretAccessKey,
      bufferBytes: 64 * 1024 * 1024,
      partBytes: PART,
      pathStyle: null,
      endpointIsBucket: false,
    },
    port: rgw.port,
    through: (port) => `http://127.0.0.1:${port}`,
    stop: () => rgw.stop(),
  };
}
