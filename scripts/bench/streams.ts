/** One file over one connection and over several, where a line limits each connection. */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runCli } from '../../test/harness/cli.ts';
import { makeRandomFile } from '../../test/harness/make-file.ts';
import { openLine } from '../../test/harness/proxy.ts';
import { startService } from '../../test/harness/service.ts';
import { printTable } from './table.ts';

const MIB = 1024 * 1024;
const SIZE = 512 * MIB;
const ROUND_TRIP_MS = 100;
const PER_CONNECTION = 8 * MIB;
const STREAMS = ['1', '2', '4', '8', 'auto'];

interface Timed {
  uploadMs: number;
  downloadMs: number;
}

/** Uploads and downloads a file of its own for each number of connections, by the command, with its hashing and its checks. */
export async function benchStreams(folder: string): Promise<void> {
  const service = await startService();
  const speed = { bytesPerSecond: PER_CONNECTION, answersPerSecond: PER_CONNECTION };
  const line = await openLine({ toPort: service.port, roundTripMs: ROUND_TRIP_MS, ...speed });
  try {
    const timed = new Map<string, Timed>();
    for (const streams of STREAMS) timed.set(streams, await time(join(folder, streams), streams, line.url));
    const one = timed.get('1');
    printTable(
      ['connections', 'upload s', 'times as fast as one', 'download s', 'times as fast as one'],
      [...timed].map(([streams, { uploadMs, downloadMs }]) => [
        streams,
        (uploadMs / 1000).toFixed(1),
        ((one?.uploadMs ?? NaN) / uploadMs).toFixed(2),
        (downloadMs / 1000).toFixed(1),
        ((one?.downloadMs ?? NaN) / downloadMs).toFixed(2),
      ]),
    );
  } finally {
    await line.close();
    await service.stop();
  }
}

async function time(home: string, streams: string, url: string): Promise<Timed> {
  await mkdir(home);
  const path = join(home, 'file.bin');
  const md5 = await makeRandomFile(path, SIZE);
  const flags = ['--json', '--streams', streams, '--server', url];
  const uploadMs = await durationOf(['upload', ...flags, path], home);
  const downloadMs = await durationOf(['get', ...flags, md5, '-o', join(home, 'back.bin')], home);
  await rm(home, { recursive: true });
  return { uploadMs, downloadMs };
}

async function durationOf(args: string[], home: string): Promise<number> {
  const { exitCode, stdout, stderr } = await runCli(args, home).done;
  if (exitCode !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as { durationMs: number }).durationMs;
}
