/** Three nodes on one catalog keep one quota. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { type Answer, encodeMetadata, send, TUS } from '../harness/tus.ts';
import { bearer, json } from '../http/support.ts';
import { type Cluster, startCluster } from './support.ts';

/** Twice as many as there is room for. */
const CLIENTS = 80;
const ROOM = 40;
const SIZE = 3_000;

describe.skipIf(!hasPostgres())('a quota on three nodes', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster(3, {
      env: {
        AUTH_TOKENS: 'files:secret-of-files,bytes:secret-of-bytes',
        QUOTAS: `files:files=${ROOM},bytes:bytes=${ROOM * SIZE}`,
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

  test.each(['files', 'bytes'])(`of %s for ${ROOM} lets in ${ROOM} of ${CLIENTS} clients`, async (owner) => {
    const answers = await sendAll(owner);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(ROOM);
    for (const answer of answers.filter(({ status }) => status !== 201))
      expect([answer.status, answer.code]).toEqual([413, 'over_quota']);
    for (const node of cluster.nodes) {
      const page = await send('GET', `${node.url}/api/quota`, { headers: bearer(`secret-of-${owner}`) });
      expect(json(page)).toMatchObject({
        files: { used: ROOM },
        bytes: { used: ROOM * SIZE },
        openUploads: { used: 0 },
      });
    }
  });
});
