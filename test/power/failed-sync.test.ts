/** A sync of the folder fails once, and the kernel reports it once: the entry is made anew before it counts. */
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startService } from '../harness/service.ts';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { createUpload, head, patch, send } from '../harness/tus.ts';
import { replay } from './disk.ts';
import { compileLibrary, DATA_DIR, makeScratch, MISSING, type Recorder, startRecorder } from './recorder.ts';
import { readCalls } from './recording.ts';

let scratch = '';
let library = '';
let count = 0;
beforeAll(async () => {
  scratch = await makeScratch();
  if (MISSING === undefined) library = compileLibrary(scratch);
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const bytes = makeBytes(50_000, 81);
const key = `${md5(bytes)}.bin`;
const FOLDER = '/files';

async function start(): Promise<Recorder> {
  const folder = join(scratch, String(count++));
  await mkdir(folder);
  const recorder = await startRecorder({ folder, library });
  onTestFinished(() => recorder.stop());
  return recorder;
}

/** What is on the disk when the power goes now and nothing is there that no sync covers. */
async function cut(recorder: Recorder): Promise<string> {
  const calls = readCalls((await recorder.log()).subarray(0, recorder.time()));
  const into = join(scratch, String(count++));
  await mkdir(into);
  await replay(calls, recorder.root).leave(calls.length, 'none', into);
  return join(into, DATA_DIR);
}

async function publish(url: string, filename: string): Promise<void> {
  expect((await patch(await createUpload(url, bytes.length, { filename }), 0, bytes)).status).toBe(204);
}

/** Flips a byte of the content, for good. */
function damage({ root, env }: Recorder): void {
  const script = `
    const fs = require('node:fs');
    const fd = fs.openSync(process.argv[1], 'r+');
    fs.writeSync(fd, Buffer.from([${(bytes[7] ?? 0) ^ 255}]), 0, 1, 7);
    fs.fsyncSync(fd);`;
  execFileSync(process.execPath, ['-e', script, join(root, DATA_DIR, 'files', key)], {
    env: { ...process.env, ...env },
  });
}

/** A damaged content, and an upload of the same bytes that is about to heal it. */
async function aboutToHeal(recorder: Recorder): Promise<string> {
  await publish(recorder.service.url, 'first.bin');
  damage(recorder);
  return createUpload(recorder.service.url, bytes.length, { filename: 'second.bin' });
}

async function expectHealed(recorder: Recorder): Promise<void> {
  expect((await readFile(join(await cut(recorder), 'files', key))).equals(bytes)).toBe(true);
}

if (MISSING !== undefined) console.warn(`skipped: ${MISSING}`);

describe.skipIf(MISSING !== undefined)('a sync of the folder fails', () => {
  test.each(['in the same process', 'and the process is killed'])('while a content is healed, %s', async (how) => {
    const recorder = await start();
    const location = await aboutToHeal(recorder);
    recorder.failSync(FOLDER, 1);
    expect((await patch(location, 0, bytes)).status).toBe(503);
    if (how === 'and the process is killed') {
      await recorder.service.kill('SIGKILL');
      await recorder.service.restart();
    }
    const again = await head(location.replace(/^.*(?=\/uploads)/, recorder.service.url));
    if (again.headers['upload-offset'] === '0') await publish(recorder.service.url, 'third.bin');
    else expect(again.headers['tidemark-file-id']).toBeDefined();
    await expectHealed(recorder);
  });

  test('while a content is healed, and somebody asks for it', async () => {
    const recorder = await start();
    const location = await aboutToHeal(recorder);
    recorder.failSync(FOLDER, 1);
    expect((await patch(location, 0, bytes)).status).toBe(503);
    const { body } = await send('GET', `${recorder.service.url}/check?md5=${md5(bytes)}&filename=instant.bin`);
    expect(body).toContain('"exists"');
    await expectHealed(recorder);
  });

  test('while a deleted content is removed, and the process is killed', async () => {
    const recorder = await start();
    await publish(recorder.service.url, 'deleted.bin');
    const { body } = await send('GET', `${recorder.service.url}/api/files`);
    recorder.failSync(FOLDER, 1);
    const [file] = (JSON.parse(body) as { files: { id: string }[] }).files;
    expect((await send('DELETE', `${recorder.service.url}/api/files/${file?.id}`)).status).toBe(204);
    expect(recorder.faults()).toBe(1);
    await recorder.service.kill('SIGKILL');
    await recorder.service.restart();
    expect(await readdir(join(await cut(recorder), 'files'))).not.toContain(key);
  });

  test.each(['the entry was not made', 'the look that follows fails, too'])(
    'with the last byte of an upload, and nothing is recorded of it: %s',
    async (how) => {
      const recorder = await start();
      const { url } = recorder.service;
      const location = await createUpload(url, bytes.length, { filename: 'cut-off.bin' });
      recorder.failSync(FOLDER, 1);
      expect((await patch(location, 0, bytes)).status).toBe(503);
      if (how === 'the look that follows fails, too') {
        recorder.failSync(FOLDER, 1);
        await head(location);
      }
      // Makes all durable that the catalog was told before.
      await createUpload(url, 1, { filename: 'another.bin' });
      const service = await startService({ dataDir: await cut(recorder) });
      onTestFinished(() => service.stop());
      const state = await head(location.replace(url, service.url));
      expect([state.status, state.headers['upload-offset']]).toEqual([200, '0']);
    },
  );
});
