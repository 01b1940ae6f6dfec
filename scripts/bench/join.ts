/**
 * How long the service takes to join 64 partials of 16 MiB in a folder, beside the time of hashing as many bytes in the same
 * way: read from files, through the digest pool.
 */
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createDigestPool } from '../../stores/digests/pool.ts';
import { makeBytes } from '../../test/harness/bytes.ts';
import { startService } from '../../test/harness/service.ts';
import { createUpload, head, patch, send, TUS } from '../../test/harness/tus.ts';
import { printTable } from './table.ts';

const PARTIALS = 64;
const PARTIAL_BYTES = 16 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;
const POLL_MS = 20;

/** Joins and hashes by turns, and prints the ratio of each round. */
export async function benchJoin(folder: string): Promise<void> {
  const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3);
  const bytes = makeBytes(PARTIAL_BYTES, 1);
  const paths = Array.from({ length: PARTIALS }, (_, index) => join(folder, `piece-${index}`));
  for (const path of paths) await writeFile(path, bytes);
  const service = await startService({ dataDir: join(folder, 'join') });
  const rows: string[][] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      const hashingS = await hashAll(paths);
      // Different first bytes, so that no round finds the content of an earlier one.
      bytes.writeUInt32LE(round, 0);
      const joiningS = await joinAll(service.url, bytes);
      rows.push([String(round), hashingS.toFixed(2), joiningS.toFixed(2), (joiningS / hashingS).toFixed(2)]);
    }
  } finally {
    await service.stop();
  }
  printTable(['round', 'hashing 1 GiB, s', 'joining it, s', 'ratio'], rows);
}

async function hashAll(paths: readonly string[]): Promise<number> {
  const digests = createDigestPool(['md5']);
  const lane = digests.open(null);
  const begunMs = performance.now();
  for (const path of paths) {
    const file = await open(path);
    for (let at = 0; at < PARTIAL_BYTES; at += READ_BYTES) {
      const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
      await file.read(buffer, 0, READ_BYTES, at);
      await lane.update([buffer]);
    }
    await file.close();
  }
  await lane.digests();
  const tookS = (performance.now() - begunMs) / 1000;
  lane.close();
  await digests.close();
  return tookS;
}

/** From the request that begins the final to the answer that it is joined. */
async function joinAll(url: string, bytes: Buffer): Promise<number> {
  const partials: string[] = [];
  for (let index = 0; index < PARTIALS; index++) {
    const partial = await createUpload(url, PARTIAL_BYTES, {}, { 'Upload-Concat': 'partial' });
    await patch(partial, 0, bytes);
    partials.push(partial);
  }
  const begunMs = performance.now();
  const paths = partials.map((partial) => new URL(partial).pathname).join(' ');
  const { headers } = await send('POST', `${url}/uploads`, {
    headers: { ...TUS, 'Upload-Concat': `final;${paths}` },
  });
  const final = headers.location ?? '';
  while ((await head(final)).headers['upload-offset'] === undefined) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const tookS = (performance.now() - begunMs) / 1000;
  for (const ended of [final, ...partials]) await send('DELETE', ended, { headers: TUS });
  return tookS;
}
