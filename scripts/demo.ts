/**
 * `npm run demo`: uploads a real file, interrupts the client and the service, resumes, verifies,
 * uploads again, renames and deletes, in under a minute. Checks every step: at the first failure
 * it exits with code 1.
 */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type CliResult, type CliRun, runCli } from '../test/harness/cli.ts';
import { makeRandomFile } from '../test/harness/make-file.ts';
import { type Line, openLine } from '../test/harness/proxy.ts';
import { startService } from '../test/harness/service.ts';

const MIB = 1024 * 1024;
const FILE_BYTES = 256 * MIB;
/** A connection slow enough to interrupt the upload half-way. */
const LINE_BYTES_PER_SECOND = 100 * MIB;

interface Uploaded {
  status: string;
  url: string;
  id: string;
  md5: string;
  size: number;
  sentBytes: number;
}

const startedAt = performance.now();
const folder = await mkdtemp(join(tmpdir(), 'tidemark-demo-'));
const path = join(folder, 'big.iso');
let exitCode = 0;
const service = await startService({ dataDir: join(folder, 'data') });
const line = await openLine({ toPort: service.port, bytesPerSecond: LINE_BYTES_PER_SECOND });
try {
  await tell();
} catch (error) {
  exitCode = 1;
  say(`NOT AS IT SHOULD BE: ${error instanceof Error ? error.message : String(error)}`);
} finally {
  await line.close();
  await service.stop();
  await rm(folder, { recursive: true, force: true });
}
process.exit(exitCode);

async function tell(): Promise<void> {
  say(`A service runs at ${service.url}, on an empty folder.`);
  const md5 = await makeRandomFile(path, FILE_BYTES);
  say(`big.iso is made: ${mib(FILE_BYTES)}, MD5 ${md5}.`);

  let run = upload();
  await untilSent(line, FILE_BYTES * 0.25, run);
  run.child.kill('SIGKILL');
  await run.done;
  const afterClient = await storedOffset(md5);
  say(`The client is killed on the way (SIGKILL); the service has ${mib(afterClient)}.`);
  check(afterClient > 0 && afterClient < FILE_BYTES, 'part of the file is stored');

  const sentBefore = line.sentBytes();
  run = upload();
  await untilSent(line, sentBefore + FILE_BYTES * 0.25, run);
  await service.restart();
  say('The same command resumes from there; now the service is killed on the way, and started again.');

  const result = await run.done;
  const uploaded = parse<Uploaded>(result);
  check(uploaded.md5 === md5 && uploaded.size === FILE_BYTES, 'the published file has the digest of the original');
  const total = line.sentBytes();
  say(`The client has waited and finished: ${uploaded.url}`);
  say(`${mib(total)} were sent for a file of ${mib(FILE_BYTES)}.`);
  check(total < FILE_BYTES * 1.5, 'what was stored was not sent again');

  const copy = join(folder, 'copy.iso');
  await cli(['get', md5, '-o', copy]);
  check((await digestOf(copy)) === md5, 'the downloaded file is bit for bit the same');
  say(`Downloaded and compared: ${mib((await stat(copy)).size)}, the same MD5.`);

  const sent = line.sentBytes();
  const again = parse<Uploaded>(await cli(['upload', path, '--json'], line.url));
  check(again.status === 'instant', 'the second upload is instant');
  check(line.sentBytes() - sent < 100_000, 'no content was sent');
  say(`Uploaded a second time: instant, ${line.sentBytes() - sent} bytes were sent.`);

  const listed = await cli(['list']);
  check(listed.stdout.includes('big.iso'), 'the catalog lists it');
  say(`The catalog:\n${indent(listed.stdout)}`);

  await cli(['rename', again.id, 'renamed.iso']);
  check((await cli(['list'])).stdout.includes('renamed.iso'), 'the catalog has the new name');
  await cli(['delete', again.id]);
  check(!(await cli(['list'])).stdout.includes('.iso'), 'the catalog is empty');
  check((await fetch(uploaded.url)).status === 404, 'its address is gone');
  const left = await readFile(join(folder, 'data', 'files', `${md5}.iso`)).then(
    () => true,
    () => false,
  );
  check(!left, 'its bytes are gone');
  say('Renamed, deleted, and its bytes are gone from the disk.');
  say('Everything is as it should be.');
}

function upload(): CliRun {
  return runCli(['upload', path, '--json', '--server', line.url], folder);
}

async function cli(args: string[], server = service.url): Promise<CliResult> {
  const result = await runCli([...args, '--server', server], folder).done;
  check(result.exitCode === 0, `tidemark ${args[0]} succeeds (exit code ${result.exitCode}): ${result.stderr}`);
  return result;
}

function parse<T>(result: CliResult): T {
  check(result.exitCode === 0, `the client succeeds (exit code ${result.exitCode}): ${result.stderr}`);
  return JSON.parse(result.stdout.trim().split('\n').at(-1) ?? '') as T;
}

async function untilSent(over: Line, bytes: number, run: CliRun): Promise<void> {
  let ended = false;
  void run.done.then(() => (ended = true));
  while (over.sentBytes() < bytes) {
    if (ended) throw new Error(`the client exited early: ${(await run.done).stderr}`);
    await wait(5);
  }
}

async function storedOffset(md5: string): Promise<number> {
  const answer = await fetch(`${service.url}/check?md5=${md5}`);
  const { resume } = (await answer.json()) as { resume?: { offset: number } };
  return resume?.offset ?? 0;
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('md5');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`it should be that ${what}`);
}

function say(text: string): void {
  process.stdout.write(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s  ${text}\n`);
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, '           ');
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
