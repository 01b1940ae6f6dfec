/** `tidemark doctor` on the buckets of Ceph and OSS: what is well, what is wrong, and that nothing is left. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { runCli } from '../harness/cli.ts';
import { makeInterceptor } from '../cli/support.ts';
import { BUCKETS, type SystemBucket } from '../harness/buckets.ts';
import { makeBytes } from '../harness/bytes.ts';
import { diagnose, diagnoseHere, readDiagnosis } from '../harness/doctor.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { makeSelfSigned } from '../harness/self-signed.ts';
import { startService } from '../harness/service.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';
import { createUpload, patch } from '../harness/tus.ts';
import { REFUSED_FOR_OSS, serveTls, shiftedClock, WRONG_SETTINGS } from '../harness/wrong-settings.ts';

// The doctor of this process reaches the double of OSS by its name.
await import(RESOLVE_HERE);

const STEPS = [
  'settings',
  'name',
  'connection',
  'S3',
  'clock',
  'signature',
  'bucket',
  'put',
  'get',
  'range',
  'Content-MD5',
  'presigned',
  'time',
  'multipart',
  'part',
  'Content-MD5 part',
  'complete',
  'complete again',
  'abort',
  'smallest part',
  'delete',
  'cleaning',
  'catalog',
  'belonging',
  'folder',
  'free space',
];

for (const { name, missing } of BUCKETS) {
  if (missing !== undefined) console.warn(`${name} skipped: ${missing}`);
}

describe.each(BUCKETS)('the doctor on a bucket of $name', ({ name, missing, start }) => {
  describe.skipIf(missing !== undefined)('finds', () => {
    let bucket: SystemBucket;
    let proxy: FaultProxy;

    beforeAll(async () => {
      bucket = await start();
      proxy = await startFaultProxy({ toPort: bucket.port });
    });
    afterEach(async () => {
      proxy.clear();
      const left = await bucket.keys();
      if (left.length > 0) throw new Error(`left in the bucket: ${left.join(', ')}`);
      const open = await bucket.multiparts();
      if (open.length > 0) throw new Error(`multipart uploads are left: ${open.join(', ')}`);
    });
    afterAll(async () => {
      await proxy.stop();
      await bucket.stop();
    });

    test('nothing wrong, tells what came back and how long it took, and keeps the secret', async () => {
      const env = bucket.env();
      const { exitCode, steps, step, output } = await diagnose(await makeTempFolder(), env);
      expect(steps.filter(({ status }) => status !== 'ok' && status !== 'note')).toEqual([]);
      expect(steps.map(({ step: told }) => told)).toEqual(STEPS);
      expect(exitCode).toBe(0);
      expect(steps.every(({ durationMs }) => durationMs !== null && durationMs >= 0)).toBe(true);
      expect(step('range')?.found).toContain('206 with 200 bytes');
      expect(step('Content-MD5')?.found).toMatch(/refused, as it should be: 400 (?:Bad|Invalid)Digest/);
      expect(step('smallest part')?.found).toContain('refused: 400 EntityTooSmall');
      expect(step('complete again')?.found).toMatch(/^(?:200 ?|404 NoSuchUpload); the object is as it was$/);
      expect(step('abort')?.found).toContain('404 NoSuchUpload');
      expect(step('time')?.found).toMatch(/ms each/);
      expect(step('cleaning')?.tried).toMatch(/files\/doctor\/[0-9a-f]{16}\/$/);
      expect(output).not.toContain(env['S3_SECRET_ACCESS_KEY']);
      expect(output).not.toMatch(/X-Amz|Signature=/);
    });

    test.each(WRONG_SETTINGS.filter(({ only = name }) => only === name))(
      'what is wrong with $what, in a sentence, and skips what follows from it',
      async (wrong) => {
        const env = { ...bucket.env(), ...(await wrong.env(bucket)) };
        // Options of Node hold for a whole process.
        const examine = env['NODE_OPTIONS'] === bucket.env()['NODE_OPTIONS'] ? diagnoseHere : diagnose;
        const { exitCode, steps, statuses, step } = await examine(await makeTempFolder(), env);
        expect(steps.filter(({ status }) => status === 'failed').map(({ step: failed }) => failed)).toEqual([
          wrong.step,
        ]);
        expect(step(wrong.step)?.change).toMatch(wrong.sentence);
        expect(step(wrong.step)?.change).not.toContain('\n');
        expect(step('put')).toMatchObject({ status: 'skipped', found: `“${wrong.step}” failed`, durationMs: null });
        expect(step('belonging')).toMatchObject({ status: 'skipped', found: `“${wrong.step}” failed` });
        // What does not depend on it is tried.
        expect(statuses).toMatchObject({ catalog: 'ok', folder: 'ok' });
        expect(exitCode).toBe(1);
      },
    );

    test('settings that are refused, each by its name', async () => {
      const env = { ...bucket.env(), S3_BUCKET: '', S3_ENDPOINT: 'not an address', HTTP_PORT: 'x' };
      const { exitCode, steps } = await diagnose(await makeTempFolder(), env);
      const failed = steps.filter(({ status }) => status === 'failed').map(({ found }) => found.split(' ')[0]);
      expect(failed).toEqual(expect.arrayContaining(['HTTP_PORT', 'S3_BUCKET', 'S3_ENDPOINT']));
      expect(steps.filter(({ status }) => status === 'skipped').map(({ step }) => step)).toEqual([
        'store',
        'catalog',
        'folder',
      ]);
      expect(exitCode).toBe(1);
    });

    test('a clock that is off by minutes worth a note', async () => {
      const env = bucket.env();
      const NODE_OPTIONS = `${env['NODE_OPTIONS'] ?? ''} ${shiftedClock(10 * 60_000)}`;
      const { exitCode, step } = await diagnose(await makeTempFolder(), { ...env, NODE_OPTIONS });
      expect(step('clock')).toMatchObject({ status: 'note', change: expect.stringContaining('NTP') });
      expect(step('clock')?.found).toMatch(/this machine is (?:599|600|601) s ahead of it/);
      expect(exitCode).toBe(0);
    });

    test('a call that fails in the middle, makes the other calls, and removes what it made', async () => {
      proxy.place({ operation: 'UploadPart', partNumber: 2, fault: { kind: 'answer', status: 503 } });
      const { exitCode, statuses, step } = await diagnoseHere(await makeTempFolder(), bucket.env(proxy.port));
      expect(step('part')).toMatchObject({ status: 'failed', found: '503 SlowDown' });
      expect(statuses).toMatchObject({
        complete: 'skipped',
        'complete again': 'skipped',
        abort: 'ok',
        'smallest part': 'ok',
        delete: 'ok',
        cleaning: 'ok',
      });
      expect(exitCode).toBe(1);
    });

    test('answers that get lost, and removes what was made all the same', async () => {
      proxy.place({ operation: 'PutObject', fault: { kind: 'loseAnswer' } });
      proxy.place({ operation: 'CompleteMultipartUpload', fault: { kind: 'loseAnswer' } });
      const { statuses } = await diagnoseHere(await makeTempFolder(), bucket.env(proxy.port));
      expect(statuses).toMatchObject({ put: 'failed', get: 'skipped', complete: 'failed', cleaning: 'ok' });
    });

    test('a store that takes what does not fit its Content-MD5', async () => {
      const careless = await makeInterceptor(`http://127.0.0.1:${bucket.port}`, ({ method, url = '' }) =>
        method === 'PUT' && url.includes('/damaged') ? { status: 200 } : null,
      );
      const env = bucket.env(Number(new URL(careless).port));
      const { exitCode, steps, step } = await diagnoseHere(await makeTempFolder(), env);
      expect(step('Content-MD5')).toMatchObject({ status: 'failed', found: 'accepted' });
      expect(steps.filter(({ status }) => status === 'failed')).toHaveLength(1);
      expect(exitCode).toBe(1);
    });

    test('that it cannot remove what it made, and names it', async () => {
      const placed = proxy.place({
        operation: 'DeleteObject',
        times: Infinity,
        fault: { kind: 'answer', status: 403, code: 'AccessDenied' },
      });
      const { exitCode, step } = await diagnoseHere(await makeTempFolder(), bucket.env(proxy.port));
      placed.remove();
      expect(step('delete')).toMatchObject({ status: 'failed', found: '403 AccessDenied' });
      expect(step('cleaning')?.found).toMatch(/^[1-9] objects are left/);
      expect(step('cleaning')?.change).toContain('then remove what is under files/doctor/');
      expect(exitCode).toBe(1);
      await bucket.empty();
    });

    test('what there is in a terminal, and removes what it made when it is interrupted', async () => {
      const placed = proxy.place({ operation: 'UploadPart', partNumber: 2, fault: { kind: 'stall' } });
      const folder = await makeTempFolder();
      const run = runCli(['doctor'], folder, { DATA_DIR: folder, ...bucket.env(proxy.port) });
      await placed.hit;
      expect(await bucket.keys()).not.toEqual([]);
      run.child.kill('SIGINT');
      const { exitCode, stdout } = await run.done;
      expect(stdout).toMatch(
        /^ok {7}put {14}PutObject of 1000 bytes with Content-MD5: stored; .*\(\d+(?:\.\d)? ms\)$/m,
      );
      expect(stdout).toMatch(/^skipped {2}abort {12}interrupted$/m);
      expect(stdout).toMatch(/^ok {7}cleaning .*nothing is left/m);
      expect(exitCode).toBe(130);
    });

    test('a running service, which it does not disturb', async () => {
      const service = await startService({ env: bucket.env() });
      onTestFinished(() => service.stop());
      const location = await createUpload(service.url, 2000);
      expect((await patch(location, 0, makeBytes(1000, 81))).status).toBe(204);
      const before = await bucket.keys();
      const { exitCode, step } = await diagnose(service.dataDir, bucket.env());
      expect(step('catalog')).toMatchObject({ status: 'ok' });
      expect(step('catalog')?.found).toMatch(/^a running service has it open, schema (\d+) of \1$/);
      expect(step('belonging')?.found).toBe('the same');
      expect(exitCode).toBe(0);
      expect(await bucket.keys()).toEqual(before);
      expect((await patch(location, 1000, makeBytes(1000, 82))).status).toBe(204);
      const files = (await (await fetch(`${service.url}/api/files`)).json()) as { files: { id: string }[] };
      for (const { id } of files.files) await fetch(`${service.url}/api/files/${id}`, { method: 'DELETE' });
    });
  });
});

test.each(REFUSED_FOR_OSS)('the doctor refuses for OSS, with the reason: $what', async ({ env, reason }) => {
  const { exitCode, step } = await diagnose(await makeTempFolder(), env);
  expect(step('settings')).toMatchObject({ status: 'failed', found: reason.replace(':', '') });
  expect(exitCode).toBe(1);
});

describe.skipIf(BUCKETS[0]?.missing !== undefined)('the doctor over TLS', () => {
  test('trusts a certificate by NODE_EXTRA_CA_CERTS, and notes that it ends soon', async () => {
    const [ceph] = BUCKETS;
    const bucket = await ceph!.start();
    onTestFinished(() => bucket.stop());
    const folder = await makeTempFolder();
    for (const { days, status } of [
      { days: 30, status: 'ok' },
      { days: 3, status: 'note' },
    ]) {
      const certificate = makeSelfSigned(days);
      const authority = join(folder, `${days}.pem`);
      await writeFile(authority, certificate.cert);
      const port = await serveTls(certificate, bucket.port);
      const env = {
        ...bucket.env(),
        S3_ENDPOINT: `https://localhost:${port}`,
        NODE_EXTRA_CA_CERTS: authority,
      };
      const { exitCode, step } = await diagnose(folder, env);
      expect(step('TLS')).toMatchObject({ status, found: expect.stringMatching(/^TLSv1\.\d, certificate valid for /) });
      expect(exitCode).toBe(0);
    }
    const expired = makeSelfSigned(-1);
    await writeFile(join(folder, 'expired.pem'), expired.cert);
    const env = {
      ...bucket.env(),
      S3_ENDPOINT: `https://localhost:${await serveTls(expired, bucket.port)}`,
      NODE_EXTRA_CA_CERTS: join(folder, 'expired.pem'),
    };
    const result = runCli(['doctor', '--json'], folder, { DATA_DIR: folder, ...env });
    const { step } = readDiagnosis(await result.done);
    expect(step('TLS')).toMatchObject({ status: 'failed', change: 'its certificate has expired: renew it' });
  });
});
