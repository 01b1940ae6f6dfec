/** Many files at once, with few file descriptors. */
import { join } from 'node:path';
import { mkdir, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { makeClient } from '../cli/support.ts';
import { makeBytes } from '../harness/bytes.ts';
import { startService } from '../harness/service.ts';
import { send, TUS, type Answer } from '../harness/tus.ts';

const FILES = 300;
/** Loading the service's modules takes more than the service does. */
const SERVICE_DESCRIPTORS = 320;

interface Listing {
  files: unknown[];
}

async function countFiles(base: string): Promise<number> {
  const answer = await send('GET', `${base}/api/files?limit=1000`);
  return (JSON.parse(answer.body) as Listing).files.length;
}

/** Sends a small file in one request; a connection that is refused is tried again, as clients do. */
async function put(base: string, bytes: Buffer): Promise<Answer> {
  for (let attempt = 0; ; attempt += 1) {
    const answer = await send('POST', `${base}/uploads`, {
      headers: {
        ...TUS,
        'Upload-Length': String(bytes.length),
        'Content-Type': 'application/offset+octet-stream',
        Connection: 'close',
      },
      body: bytes,
    }).catch((error: unknown) => {
      if (attempt === 50) throw error;
      return null;
    });
    // One request too many is told to come again.
    if (answer && (answer.status !== 503 || attempt === 50)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('the service takes all of 300 files that come at once', { timeout: 60_000 }, async () => {
  const service = await startService({ descriptors: SERVICE_DESCRIPTORS });
  try {
    const answers = await Promise.all(
      Array.from({ length: FILES }, (_, index) => put(service.url, makeBytes(1_000, 9_000 + index))),
    );
    expect([...new Set(answers.map((answer) => answer.status))]).toEqual([201]);
    expect(await countFiles(service.url)).toBe(FILES);
    expect(service.output()).not.toContain('EMFILE');
  } finally {
    await service.stop();
  }
});

test('the command sends all of 300 files, however many at once it is asked for', { timeout: 60_000 }, async () => {
  const service = await startService();
  try {
    const client = await makeClient(service.url);
    const folder = join(client.folder, 'many');
    await mkdir(folder);
    for (let index = 0; index < FILES; index += 1) {
      await writeFile(join(folder, `${index}.bin`), makeBytes(1_000, 9_500 + index));
    }
    const inShell = (line: string): string[] => ['bash', '-c', `ulimit -n 128; ${line}`];
    const result = await client.start(['upload', '--recursive', '--parallel', '300', 'many'], { inShell }).done;
    expect([result.exitCode, result.stdout.trim().split('\n').length]).toEqual([0, FILES]);
    expect(result.stderr).toContain(`${FILES} uploaded, 0 instant, 0 failed`);
    expect(result.stderr).not.toContain('Warning');
    expect(await countFiles(service.url)).toBe(FILES);
  } finally {
    await service.stop();
  }
});
