/** What docs/stores/ceph.md says of the bucket: its rights are enough and none is too many; versions; quota. */
import {
  ListMultipartUploadsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PART } from '../harness/part.ts';
import { CEPH_MISSING, type RunningRgw, startRgw } from '../harness/rgw.ts';
import { openCephStore } from '../../stores/ceph/store.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import type { Commit, Store, StoredUpload } from '../../stores/store.ts';
import { makeBytes } from '../harness/bytes.ts';
import { createTestLedger } from './contract.ts';

if (CEPH_MISSING !== undefined) console.warn(`skipped: ${CEPH_MISSING}`);

const USER = { accessKeyId: 'tidemark-user', secretAccessKey: 'the-secret-of-the-user' };
const OTHERS = 'tidemark/others';

interface Policy {
  Statement: { Action: string[]; Resource: string[] }[];
}

/** The policy as the document has it, for the bucket of the test. */
async function documentedPolicy(bucket: string): Promise<Policy> {
  const page = await readFile(fileURLToPath(new URL('../../../docs/stores/ceph.md', import.meta.url)), 'utf8');
  const text = /^```json\n(\{\n {2}"Version".*?)^```$/ms.exec(page)?.[1] ?? '';
  return JSON.parse(text.replaceAll(':::uploads', `:::${bucket}`)) as Policy;
}

/** Every call the store makes, on an upload of two parts, one of one part, and one that is given up. */
async function useStore(store: Store, ledger: ReturnType<typeof createTestLedger>): Promise<void> {
  const digests = createDigestPool(['md5']);

  async function write(upload: StoredUpload, bytes: Buffer): Promise<StoredUpload> {
    const commits: Commit[] = [];
    await store.writeUpload(Readable.from([bytes]), upload, {
      digests,
      signal: new AbortController().signal,
      maxBytes: Number.MAX_SAFE_INTEGER,
      commit: async (commit) => {
        commits.push(commit);
        for (const part of commit.parts ?? []) ledger.record(upload.id, part);
      },
    });
    return { ...upload, ...commits.at(-1) };
  }

  function newUpload(size: number): StoredUpload {
    const unwritten = { offset: 0, snapshot: null, storeState: null };
    return { id: randomUUID(), size, ...unwritten, filename: 'a', filetype: null };
  }

  try {
    await store.probe();
    // Its own objects a user may read by their ACL; this one the owner of the bucket has put there.
    expect(String(await buffer(await store.readContent(OTHERS)))).toBe('of another user');
    for (const size of [1000, PART + 1000]) {
      const bytes = makeBytes(size, 98);
      let upload = await write(newUpload(size), bytes.subarray(0, size - 10));
      upload = await write(upload, bytes.subarray(size - 10));
      const key = store.keyFor(upload, { md5: '', variant: 0 });
      await store.finalize(upload, key);
      await store.discardUpload(upload, 'keep');
      expect(await store.contentSize(key)).toBe(size);
      expect(await store.contentSize(`${key}-of-nobody`)).toBeUndefined();
      expect((await buffer(await store.readContent(key))).equals(bytes)).toBe(true);
      const lifeMs = 60_000;
      const answer = await fetch(await store.addressOf(key, { type: 'a/b', disposition: 'inline', lifeMs }));
      expect(answer.status).toBe(200);
      await answer.arrayBuffer();
      await store.removeContent(key);
      expect(await store.contentSize(key)).toBeUndefined();
    }
    const givenUp = await write(newUpload(2 * PART), makeBytes(PART + 1000, 99));
    for await (const id of store.listUnfinished()) expect(id).toBe(givenUp.id);
    await store.discardUpload(givenUp, 'remove');
  } finally {
    await digests.close();
  }
}

describe.skipIf(CEPH_MISSING !== undefined)('a second user of a Ceph bucket', () => {
  let rgw: RunningRgw;
  let owner: S3Client;
  let policy: Policy;

  beforeAll(async () => {
    rgw = await startRgw({ leastPartBytes: PART });
    const { accessKeyId, secretAccessKey } = USER;
    const keys = [`--access-key=${accessKeyId}`, `--secret-key=${secretAccessKey}`];
    // Not named as in the document: the owner of the bucket has that name.
    const create = ['user', 'create', '--uid=second', '--display-name=second', ...keys];
    await admin(...create);
    owner = new S3Client({
      endpoint: rgw.endpoint,
      region: rgw.region,
      forcePathStyle: true,
      credentials: rgw,
      requestChecksumCalculation: 'WHEN_REQUIRED',
    });
    policy = await documentedPolicy(rgw.bucket);
    await owner.send(new PutObjectCommand({ Bucket: rgw.bucket, Key: OTHERS, Body: 'of another user' }));
  });
  afterAll(async () => {
    owner.destroy();
    await rgw.stop();
  });

  async function admin(...args: string[]): Promise<void> {
    const conf = join(rgw.folder, 'ceph.conf');
    await promisify(execFile)('radosgw-admin', ['-c', conf, '-n', 'client.rgw', '--admin-socket=', ...args]);
  }

  async function allow(granted: Policy): Promise<void> {
    const text = JSON.stringify(granted).replaceAll(':user/tidemark"', ':user/second"');
    await owner.send(new PutBucketPolicyCommand({ Bucket: rgw.bucket, Policy: text }));
  }

  /** With a prefix of its own, where nothing is left of an attempt that failed. */
  async function tryStore(folder: string, partBytes = PART): Promise<void> {
    const ledger = createTestLedger();
    const { endpoint, region, bucket } = rgw;
    const place = { endpoint, region, bucket, prefix: `tidemark/${folder}/`, pathStyle: null, endpointIsBucket: false };
    const store = await openCephStore({ ...place, ...USER, bufferBytes: 4 * PART, partBytes }, ledger);
    try {
      await useStore(store, ledger);
    } finally {
      await store.close();
    }
  }

  test('does everything with what the document grants', async () => {
    await allow(policy);
    await tryStore('all');
  });

  test('lacks something without any one of the actions', async () => {
    const actions = policy.Statement.flatMap((statement) => statement.Action);
    expect(actions).toHaveLength(5);
    for (const action of actions) {
      const Statement = policy.Statement.map((statement) => ({
        ...statement,
        Action: statement.Action.filter((other) => other !== action),
      })).filter((statement) => statement.Action.length > 0);
      await allow({ ...policy, Statement });
      await expect(tryStore(action), action).rejects.toThrow('has no right to this bucket');
    }
  });

  test('is told that there is no room where the bucket is over its quota', async () => {
    await allow(policy);
    await admin('quota', 'set', '--quota-scope=bucket', '--uid=tidemark', '--max-size=10000');
    await admin('quota', 'enable', '--quota-scope=bucket', '--uid=tidemark');
    await expect(tryStore('quota')).rejects.toMatchObject({ code: 'full' });
    await admin('quota', 'disable', '--quota-scope=bucket', '--uid=tidemark');
    await tryStore('quota');
  });

  test('is told that parts are smaller than the bucket takes, and none of them is lost', async () => {
    await allow(policy);
    await expect(tryStore('small', PART - 1)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('takes no parts as small as S3_PART_BYTES: raise it') as string,
    });
    const { Uploads = [] } = await owner.send(new ListMultipartUploadsCommand({ Bucket: rgw.bucket }));
    expect(Uploads.filter(({ Key = '' }) => Key.startsWith('tidemark/small/'))).toHaveLength(1);
  });

  test('works in a bucket that keeps versions, too', async () => {
    await allow(policy);
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await owner.send(new PutBucketVersioningCommand({ Bucket: rgw.bucket, VersioningConfiguration }));
    await tryStore('versions');
  });

  test('touches nothing outside of its prefix', async () => {
    await allow(policy);
    const client = new S3Client({
      endpoint: rgw.endpoint,
      region: rgw.region,
      forcePathStyle: true,
      credentials: USER,
      requestChecksumCalculation: 'WHEN_REQUIRED',
    });
    const put = client.send(new PutObjectCommand({ Bucket: rgw.bucket, Key: 'elsewhere', Body: 'x' }));
    await expect(put).rejects.toMatchObject({ name: 'AccessDenied' });
    client.destroy();
  });
});
