/**
 * `npm run interop [part of a name]`: clients of others against a service of this build. Each sends 5 MiB, is cut off in their
 * middle, and resumes in its own way; the bytes that are published are compared. Needs the registries of npm, Python, Go, Rust
 * and Maven, so it is no part of CI. Prints the table of docs/clients.md. Ends with 1 where a client failed that could be had.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { digestOfUrl, makeRandomFile } from '../../test/harness/make-file.ts';
import { openLine } from '../../test/harness/proxy.ts';
import { type RunningService, startService } from '../../test/harness/service.ts';
import { CLIENTS, type Installed, type InteropClient } from './clients.ts';

const MIB = 1024 * 1024;
const FILE_BYTES = 5 * MIB;
const CUT_AFTER_BYTES = 2.5 * MIB;
/** Slow enough to be cut in its middle, fast enough not to be waited for. */
const LINE_BYTES_PER_SECOND = 4 * MIB;

interface Result {
  name: string;
  version: string;
  outcome: 'ok' | 'failed' | 'not run';
  detail: string;
}

/** Installs a client and lets it send. */
async function tryOut(client: InteropClient, folder: string, service: RunningService): Promise<Result> {
  const { name } = client;
  let installed: Installed;
  try {
    await mkdir(folder, { recursive: true });
    installed = await client.install(folder);
  } catch (error) {
    return { name, version: '', outcome: 'not run', detail: messageOf(error) };
  }
  const { version } = installed;
  try {
    return { name, version, outcome: 'ok', detail: await sendCut(installed, folder, service) };
  } catch (error) {
    return { name, version, outcome: 'failed', detail: messageOf(error) };
  }
}

/** Sends a file over a line that is cut once. @returns how many bytes were sent. @throws where something is not as it should be. */
async function sendCut(client: Installed, folder: string, service: RunningService): Promise<string> {
  const path = join(folder, 'file.bin');
  const md5 = await makeRandomFile(path, FILE_BYTES);
  const before = service.output().length;
  const line = await openLine({ toPort: service.port, bytesPerSecond: LINE_BYTES_PER_SECOND });
  try {
    let isOver = false;
    const sending = client.send(`${line.url}/uploads`, path).finally(() => (isOver = true));
    // Awaited below: until then nobody would see it fail.
    sending.catch(() => undefined);
    while (!isOver && line.sentBytes() < CUT_AFTER_BYTES) await wait(5);
    if (!isOver) line.cut();
    await sending;
    const found = await digestOfUrl(`${service.url}/files/${md5}`);
    if (found.md5 !== md5) throw new Error(`other bytes were published: ${found.status}, ${found.size} bytes`);
    const uploads = countCreated(service.output().slice(before));
    // The protocol itself keeps a client from sending to the same upload what is stored.
    if (uploads !== 1) throw new Error(`it made ${uploads} uploads in place of resuming one`);
    return `${mib(line.sentBytes())} sent`;
  } finally {
    await line.close();
  }
}

/** How many uploads were created, by the log of the service. */
function countCreated(log: string): number {
  return log.split('\n').filter((line) => /"method":"POST"/.test(line) && /"status":201/.test(line)).length;
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replaceAll(/\s+/g, ' ').slice(0, 300);
}

async function main(): Promise<number> {
  const wanted = process.argv[2] ?? '';
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-interop-'));
  const service = await startService({ dataDir: join(folder, 'data'), env: { CORS_ORIGINS: '*' } });
  const results: Result[] = [];
  try {
    for (const [index, client] of CLIENTS.entries()) {
      if (!client.name.includes(wanted)) continue;
      process.stderr.write(`${client.name} …\n`);
      results.push(await tryOut(client, join(folder, String(index)), service));
    }
  } finally {
    await service.stop();
    await rm(folder, { recursive: true, force: true });
  }
  process.stdout.write(`${new Date().toISOString().slice(0, 10)}, Node ${process.version}\n\n`);
  process.stdout.write('| client | version | outcome | |\n|---|---|---|---|\n');
  for (const { name, version, outcome, detail } of results) {
    process.stdout.write(`| ${name} | ${version} | ${outcome} | ${detail} |\n`);
  }
  return results.some(({ outcome }) => outcome === 'failed') ? 1 : 0;
}

process.exit(await main());
