/** The page and the command against three nodes behind a balancer, while the node that holds the upload is killed. */
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { NODE_DEAD_AFTER_MS } from '../../server/catalog/catalog.ts';
import { MIB, makeClient } from '../cli/support.ts';
import { type Balancer, openBalancer } from '../harness/balancer.ts';
import { digestOfUrl, makeRandomFile } from '../harness/make-file.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { type Line, openLine } from '../harness/proxy.ts';
import type { RunningService } from '../harness/service.ts';
import { describeInBrowser, openPage } from '../web/browsers.ts';
import { choose, file, makeFile, sentFrom, untilStatus } from '../web/support.ts';
import { listFiles, until } from '../system/support.ts';
import { type Cluster, startCluster } from './support.ts';

/** Three parts. */
const SIZE = 24 * MIB;
const BYTES_PER_SECOND = 8 * MIB;

/** A picture of one dot. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

interface UploadRow {
  id: string;
  state: string;
  offset: string;
}

describeInBrowser('clients of a cluster', () => {
  let cluster: Cluster;
  let balancer: Balancer;

  beforeAll(async () => {
    if (!hasPostgres()) return;
    cluster = await startCluster(3, { env: { LOCK_TIMEOUT: '10s' } });
    balancer = await openBalancer(cluster.nodes.map(({ port }) => port));
  });

  afterAll(async () => {
    await balancer?.close();
    await cluster?.stop();
  });

  /** A connection to the balancer on which an upload takes a few seconds. */
  async function openSlowLine(): Promise<Line> {
    const line = await openLine({ toPort: Number(new URL(balancer.url).port), bytesPerSecond: BYTES_PER_SECOND });
    onTestFinished(() => line.close());
    return line;
  }

  /**
   * As `openSlowLine`, by the browser itself. Of a connection that it has used before and that breaks, Chromium sends the request
   * once more, at the old offset, and a proxy that breaks off as soon as the node does costs it the answer (409).
   *
   * @returns sets its speed; below 0: no bound.
   */
  async function slowDown(page: Page): Promise<(bytesPerSecond: number) => Promise<unknown>> {
    const session = await page.context().newCDPSession(page);
    const setSpeed = (uploadThroughput: number): Promise<unknown> =>
      session.send('Network.emulateNetworkConditions', {
        offline: false,
        latency: 0,
        downloadThroughput: -1,
        uploadThroughput,
      });
    await setSpeed(BYTES_PER_SECOND);
    return setSpeed;
  }

  async function uploadsOf(name: string): Promise<UploadRow[]> {
    return cluster.database.run<UploadRow>(
      `select id, state, "offset" from uploads where filename = '${name}' order by id`,
    );
  }

  /** Once a part of the upload is committed: kills the node that holds it. @returns it, and the upload as it was then. */
  async function killHolder(name: string): Promise<{ before: UploadRow; killed: RunningService }> {
    await until('a part is committed', async () => Number((await uploadsOf(name))[0]?.offset ?? 0) > 0, 30_000);
    const [holder] = await cluster.database.run<{ id: string; process: string }>(
      `select nodes.id, nodes.process from nodes join uploads on uploads.holder = nodes.id
        where uploads.filename = '${name}' and uploads.state = 'receiving' and uploads.phase is not null`,
    );
    const node = cluster.nodes.find(({ pid }) => holder?.process.includes(` ${pid} `));
    if (!holder || !node) throw new Error(`no node holds ${name}`);
    await node.kill('SIGKILL');
    const [before] = await uploadsOf(name);
    if (!before) throw new Error(`no upload of ${name}`);
    // It counts as dead sooner than it would by itself.
    await cluster.database.run(
      `update nodes set seen_at = seen_at - ${NODE_DEAD_AFTER_MS - 1_000} where id = '${holder.id}'`,
    );
    onTestFinished(() => node.restart());
    return { before, killed: node };
  }

  test.skipIf(!hasPostgres())(
    'the command resumes at another node, verifies, and is instant from then on',
    async () => {
      const line = await openSlowLine();
      const client = await makeClient(line.url);
      const path = join(client.folder, 'cargo.bin');
      const md5 = await makeRandomFile(path, SIZE);
      const running = client.start(['upload', '--json', path]);
      const { before } = await killHolder('cargo.bin');
      expect(before).toMatchObject({ state: 'receiving' });
      line.setSpeed(Infinity);
      const result = await running.done;
      expect(result.stderr).toContain('MD5 verified');
      expect(result.records()).toMatchObject([{ status: 'uploaded', md5, size: SIZE }]);
      // The same upload, and not all of it once more.
      expect(await uploadsOf('cargo.bin')).toMatchObject([{ id: before.id, state: 'complete' }]);
      expect(line.sentBytes()).toBeLessThan(2 * SIZE - Number(before.offset));
      expect(await digestOfUrl(`${balancer.url}/files/${md5}`)).toMatchObject({ status: 200, md5, size: SIZE });

      const [checked, again] = [
        await client.run(['check', '--json', path]),
        await client.run(['upload', '--json', path]),
      ];
      expect(checked).toMatchObject({ exitCode: 0 });
      expect(again.records()).toMatchObject([{ status: 'instant', sentBytes: 0, md5 }]);
      expect((await listFiles(balancer)).filter(({ name }) => name === 'cargo.bin')).toHaveLength(1);
    },
  );

  test.skipIf(!hasPostgres())(
    'the page resumes at another node; what the command sends to any is listed and previewed',
    async () => {
      const page = await openPage(balancer.url);
      const setSpeed = await slowDown(page);
      const offsets = sentFrom(page);
      const big = await makeFile('dredged.bin', SIZE);
      await choose(page, big.path);
      const { before, killed } = await killHolder('dredged.bin');
      await setSpeed(-1);
      await untilStatus(page, 'dredged.bin', /^Done, verified/, 60_000);
      expect(offsets.at(-1)).toBeGreaterThan(0);
      expect(await uploadsOf('dredged.bin')).toMatchObject([{ id: before.id, state: 'complete' }]);
      expect(await digestOfUrl(`${balancer.url}/files/${big.md5}`)).toMatchObject({ md5: big.md5, size: SIZE });
      await file(page, 'dredged.bin').waitFor();

      // The page listens to one node.
      for (const [number, node] of cluster.nodes.filter((each) => each !== killed).entries()) {
        const client = await makeClient(node.url);
        const result = await client.run(['upload', '--json', await client.makeFile(`dot ${number}.png`, PNG)]);
        expect(result).toMatchObject({ exitCode: 0 });
        await file(page, `dot ${number}.png`).waitFor();
      }
      await page.getByRole('button', { name: 'Preview dot 1.png' }).click();
      await expect.poll(() => page.evaluate("document.querySelector('#preview img').naturalWidth")).toBe(1);
    },
  );
});
