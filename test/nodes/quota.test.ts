/** Three nodes on one catalog keep one quota. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { type Answer, encodeMetadata, send, TUS } from '../harness/tus.ts';
import { bearer, json } from '../http/support.ts';
import { type Cluster, startCluster } from './support.ts';

const CLIENTS = 200;
const SIZE = 3_000;

describe.skipIf(!hasPostgres())('a quota on three nodes', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster(3, {
      env: {
        AUTH_TOKENS: 'files:secret-of-files,bytes:secret-of-bytes',
        QUOTAS: `files:files=100,bytes:bytes=${100 * SIZE}`,
      },
    });
  });
  afterAll(() => cluster?.stop());

  /** All at once, each at one of the nodes. */
  function sendAll(owner: string): Promise<Answer[]> {
    return Promise.all(
      Array.from({ length: CLIENTS }, (_, index) =>
        send('POST', `${cluster.nodes[index % 3]?.url}/uploads`, {
          headers: {
            ...TUS,
            ...bearer(`secret-of-${owner}`),
            'Content-Type': 'application/offset+octet-stream',
            'Upload-Length': String(SIZE),
            'Upload-Metadata': encodeMetadata({ filename: `${index}.bin` }),
          },
          body: makeBytes(SIZE, 76_000 + index),
        }),
      ),
    );
  }

  test.each(['files', 'bytes'])('of %s for 100 lets in 100 of 200 clients', async (owner) => {
    const answers = await sendAll(owner);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(100);
    for (const answer of answers.filter(({ status }) => status !== 201))
      expect([answer.status, answer.code]).toEqual([413, 'over_quota']);
    for (const node of cluster.nodes) {
      const page = await send('GET', `${node.url}/api/quota`, { headers: bearer(`secret-of-${owner}`) });
      expect(json(page)).toMatchObject({ files: { used: 100 }, bytes: { used: 100 * SIZE }, openUploads: { used: 0 } });
    }
  });
});
