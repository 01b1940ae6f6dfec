/** 104 (Upload Resumption Supported): who gets it, when, and that everything works without it. */
import { connect } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { openPlainProxy } from '../harness/plain-proxy.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { headOf, openWire, sendWire } from './wire.ts';

const V = { 'Upload-Draft-Interop-Version': 10 };
const PARTIAL = { 'Content-Type': 'application/partial-upload' };
const BYTES = makeBytes(100_000, 104);

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

test('it comes before the body is read, and 100 comes still', async () => {
  const wire = await openWire(service.port);
  onTestFinished(() => wire.cut());
  const fields = { ...V, 'Upload-Complete': '?1', 'Content-Length': 5, Expect: '100-continue' };
  wire.write(headOf('POST', '/uploads', fields));
  const early = await wire.next();
  expect(early.line).toBe('HTTP/1.1 104 Upload Resumption Supported');
  expect(Object.keys(early.headers)).toEqual(['location', 'upload-limit', 'upload-draft-interop-version']);
  expect((await wire.next()).line).toBe('HTTP/1.1 100 Continue');
  // The address that it told is there already, and the upload survives a kill.
  await service.restart();
  const path = new URL(early.headers['location'] ?? '').pathname;
  expect((await sendWire(service.port, 'HEAD', path, V)).headers).toMatchObject({ 'upload-offset': '0' });
});

test('HTTP/1.0 gets none', async () => {
  const wire = await openWire(service.port);
  onTestFinished(() => wire.cut());
  wire.write(headOf('POST', '/uploads', { ...V, 'Upload-Complete': '?1', 'Content-Length': 5 }, '1.0'));
  wire.write('hello');
  const answer = await wire.next();
  expect([answer.status, answer.headers['upload-complete']]).toEqual([201, '?1']);
});

test('progress is told while bytes come, and never more than what is stored', async () => {
  const wire = await openWire(service.port);
  onTestFinished(() => wire.cut());
  wire.write(headOf('POST', '/uploads', { ...V, 'Upload-Complete': '?1', 'Content-Length': 10_000_000 }));
  const early = await wire.next();
  let sent = 0;
  const sending = setInterval(() => {
    wire.write(Buffer.alloc(10_000));
    sent += 10_000;
  }, 20);
  onTestFinished(() => clearInterval(sending));
  const progress = await wire.next();
  clearInterval(sending);
  expect(progress.status).toBe(104);
  expect(progress.headers['location']).toBeUndefined();
  const offset = Number(progress.headers['upload-offset']);
  expect(offset).toBeGreaterThan(0);
  expect(offset).toBeLessThanOrEqual(sent);
  await service.kill('SIGKILL');
  await service.restart();
  const state = await sendWire(service.port, 'HEAD', new URL(early.headers['location'] ?? '').pathname, V);
  expect(Number(state.headers['upload-offset'])).toBeGreaterThanOrEqual(offset);
});

test('requests on one connection, sent at once, get their answers one after the other', async () => {
  const wire = await openWire(service.port);
  onTestFinished(() => wire.cut());
  const one = (body: string): string =>
    headOf('POST', '/api/files', { ...V, 'Upload-Complete': '?1', 'Content-Length': body.length }) + body;
  wire.write(one('first') + one('second') + one('third'));
  for (const body of ['first', 'second', 'third']) {
    const answer = await wire.final();
    expect([answer.status, answer.json]).toMatchObject([201, { md5: md5(Buffer.from(body)) }]);
    expect(answer.before.length).toBeLessThanOrEqual(1);
  }
});

test('through a proxy that drops it, an upload that breaks goes on', async () => {
  const proxy = await openPlainProxy({ toPort: service.port, passesHost: true });
  const port = Number(new URL(proxy.url).port);
  const created = await sendWire(port, 'POST', '/uploads', { ...V, 'Upload-Complete': '?0' }, '');
  expect(created.before).toEqual([]);
  const path = new URL(created.headers['location'] ?? '').pathname;
  const broken = connect(port, '127.0.0.1');
  const fields = { ...V, ...PARTIAL, 'Upload-Offset': 0, 'Upload-Complete': '?1', 'Content-Length': BYTES.length };
  await new Promise<void>((resolve) => {
    broken.write(headOf('PATCH', path, fields));
    broken.write(BYTES.subarray(0, 40_000), () => resolve());
  });
  broken.destroy();
  const state = await sendWire(port, 'HEAD', path, V);
  const offset = Number(state.headers['upload-offset']);
  const rest = { ...V, ...PARTIAL, 'Upload-Offset': offset, 'Upload-Complete': '?1' };
  const last = await sendWire(port, 'PATCH', path, rest, BYTES.subarray(offset));
  expect([last.status, last.before, last.json]).toMatchObject([201, [], { md5: md5(BYTES) }]);
});

test('while the service stops, a creation is refused with 503 and Retry-After', async () => {
  const stopping = await startService({ env: { SHUTDOWN_TIMEOUT: '3s' } });
  onTestFinished(() => stopping.stop());
  const open = await openWire(stopping.port);
  onTestFinished(() => open.cut());
  open.write(headOf('POST', '/uploads', { ...V, 'Upload-Complete': '?1', 'Content-Length': 5 }));
  await open.next();
  const idle = await openWire(stopping.port);
  onTestFinished(() => idle.cut());
  const stopped = stopping.kill('SIGTERM');
  const ended = await open.final();
  expect([ended.status, ended.json['code']]).toEqual([503, 'shutting_down']);
  expect(ended.headers['retry-after']).toBeDefined();
  await stopped;
});
