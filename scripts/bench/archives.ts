/**
 * A real file beyond 4 GiB in a ZIP file, by account and by a link: uploaded by the command, packed by the service, and read again by
 * Info-ZIP, 7-Zip and Python, each of which has to find the whole archive right and to return the file's own bytes. Takes three times
 * the file's size in the folder, and some minutes.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { runCli } from '../../test/harness/cli.ts';
import { makeRandomFile } from '../../test/harness/make-file.ts';
import { type RunningService, startService } from '../../test/harness/service.ts';
import { send } from '../../test/harness/tus.ts';
import { ZIP_READERS } from '../../test/harness/zip-readers.ts';
import { peakMemoryMib } from './processes.ts';
import { printTable } from './table.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const LEAST_GIB = 4;
const DEFAULT_GIB = 5;
/** In the order of the archive: what comes after the large file is beyond 4 GiB. */
const [BEFORE, LARGE, AFTER] = ['1 before.txt', '2 large.bin', '3 after.txt'] as const;

type Row = [what: string, seconds: string, mibPerSecond: string];

/** Runs it, and fails where anything is not right. @param given - GiB of the large file. */
export async function benchArchives(folder: string, [given = DEFAULT_GIB]: number[]): Promise<void> {
  const size = Math.max(given, LEAST_GIB) * GIB + 1;
  const rows: Row[] = [];
  async function timed<T>(what: string, run: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    const result = await run();
    const seconds = (performance.now() - startedAt) / 1000;
    rows.push([what, seconds.toFixed(1), (size / MIB / seconds).toFixed(0)]);
    return result;
  }

  const source = join(folder, 'disk');
  await mkdir(source);
  const expected: Record<string, string> = { [LARGE]: await makeRandomFile(join(source, LARGE), size) };
  for (const name of [BEFORE, AFTER]) {
    await writeFile(join(source, name), `${name}\n`);
    expected[name] = createHash('md5').update(`${name}\n`).digest('hex');
  }
  const service = await startService({ dataDir: join(folder, 'data') });
  try {
    await timed('upload by the command', () => upload(service, folder));
    await rm(source, { recursive: true });
    const link = await makeLink(service);
    for (const [by, url] of [
      ['account', `${service.url}/api/archive?folder=disk&within=`],
      ['link', `${link}/archive`],
    ] as const) {
      const path = join(folder, 'disk.zip');
      const before = peakMemoryMib(service.pid);
      await timed(`ZIP by ${by}`, () => save(url, path));
      const more = peakMemoryMib(service.pid) - before;
      process.stdout.write(`ZIP by ${by}: the service's peak of memory has grown by ${more.toFixed(0)} MiB\n`);
      for (const reader of ZIP_READERS.filter(({ isHere }) => isHere)) {
        const { name } = reader;
        await timed(`${by}: ${name} checks all of it`, () => reader.check(path));
        for (const [entry, md5] of Object.entries(expected)) {
          const found = await timed(`${by}: ${name} reads ${entry}`, () => reader.md5Of(path, `disk/${entry}`));
          if (found !== md5) throw new Error(`${name} reads other bytes of ${entry}: ${found}, not ${md5}`);
        }
      }
      await rm(path);
    }
  } finally {
    await service.stop();
  }
  printTable(
    [`a file of ${size} bytes`, 's', 'MiB/s'],
    rows.filter(([what]) => !what.endsWith('.txt')),
  );
}

async function upload(service: RunningService, folder: string): Promise<void> {
  const args = ['upload', 'disk', '--recursive', '--server', service.url, '--quiet'];
  const { exitCode, stderr } = await runCli(args, folder).done;
  if (exitCode !== 0) throw new Error(`tidemark upload: ${stderr}`);
}

async function makeLink({ url }: RunningService): Promise<string> {
  const headers = { 'Content-Type': 'application/json' };
  const { body } = await send('POST', `${url}/api/links`, { headers, body: JSON.stringify({ folders: ['disk'] }) });
  return (JSON.parse(body) as { url: string }).url;
}

/** Downloads an archive. Fails unless it has as many bytes as were announced. */
function save(url: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request(url, (answer) => {
      if (answer.statusCode === 200) pipeline(answer, createWriteStream(path)).then(resolve, reject);
      else reject(new Error(`GET ${url}: ${answer.statusCode}`));
    });
    asked.on('error', reject);
    asked.end();
  });
}
