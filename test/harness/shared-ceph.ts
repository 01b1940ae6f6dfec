/**
 * The Ceph that all files of a test run share. The first file that needs it starts it; each gets a bucket of its own.
 * Vitest loads this before all tests, to set the folder of the cluster, and stops the cluster after them.
 * A test that kills a gateway, or changes settings for all buckets of a user, starts a Ceph of its own.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PART } from './part.ts';
import { type RunningRgw, startRgw, stopRgw } from './rgw.ts';

const FOLDER = 'TIDEMARK_TEST_CEPH_FOLDER';
const OWNER = 'TIDEMARK_TEST_CEPH_OWNER';

/** What a test file gets: it cannot kill the gateway, which it shares with others. */
export type RgwBucket = Omit<RunningRgw, 'kill' | 'restart'>;

/** Whether this process belongs to a test run, whose files share a Ceph. */
export function isCephShared(): boolean {
  return process.env[FOLDER] !== undefined;
}

/** A new bucket in the Ceph of this test run. */
export async function openSharedRgw(): Promise<RgwBucket> {
  const folder = process.env[FOLDER];
  const ownerPid = Number(process.env[OWNER]);
  if (folder === undefined) throw new Error(`no test run: ${FOLDER} is not set`);
  return startRgw({ leastPartBytes: PART, shared: { folder, ownerPid } });
}

/** Called by Vitest. The processes of the test files inherit its environment. */
export function setup(): () => Promise<void> {
  const folder = join(tmpdir(), `tidemark-rgw-${randomUUID().slice(0, 8)}`);
  process.env[FOLDER] = folder;
  process.env[OWNER] = String(process.pid);
  return async () => {
    if (existsSync(folder)) await stopRgw(folder);
  };
}
