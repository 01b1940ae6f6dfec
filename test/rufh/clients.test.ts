/** Clients that others have written for this protocol. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Upload, type UploadOptions } from 'tus-js-client';
import { makeBytes, md5 } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { sendWire } from './wire.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** The types of the library do not know it yet. */
type Options = Partial<UploadOptions> & { protocol: string };

function run(bytes: Buffer, options: Options): Promise<Upload> {
  return new Promise((resolve, reject) => {
    const upload = new Upload(bytes, {
      endpoint: `${service.url}/uploads`,
      retryDelays: [],
      onError: reject,
      onSuccess: () => resolve(upload),
      ...options,
    });
    upload.start();
  });
}

async function listed(): Promise<{ md5: string }[]> {
  return ((await (await fetch(`${service.url}/api/files`)).json()) as { files: { md5: string }[] }).files;
}

test.each([
  ['ietf-draft-03', '5', {}],
  ['ietf-draft-03', '5', { chunkSize: 40_000 }],
  ['ietf-draft-03', '5', { uploadDataDuringCreation: true }],
  ['ietf-draft-05', '6', {}],
  ['ietf-draft-05', '6', { chunkSize: 40_000 }],
  ['ietf-draft-05', '6', { uploadDataDuringCreation: true }],
] as const)("tus-js-client's %s (interop version %s), with %j", async (protocol, version, options) => {
  const bytes = makeBytes(100_000, protocol.length + JSON.stringify(options).length);
  const upload = await run(bytes, { protocol, ...options });
  expect((await listed()).map((file) => file.md5)).toContain(md5(bytes));
  const path = new URL(upload.url ?? '').pathname;
  const state = await sendWire(service.port, 'HEAD', path, { 'Upload-Draft-Interop-Version': version });
  expect(state.headers).toMatchObject({ 'upload-complete': '?1', 'upload-offset': '100000' });
});

test.each(['ietf-draft-03', 'ietf-draft-05'] as const)("tus-js-client's %s resumes", async (protocol) => {
  const bytes = makeBytes(120_000, protocol.charCodeAt(12));
  const uploadUrl = await new Promise<string>((resolve, reject) => {
    const options: Options = {
      endpoint: `${service.url}/uploads`,
      protocol,
      chunkSize: 50_000,
      onError: reject,
      onChunkComplete: () => void upload.abort().then(() => resolve(upload.url ?? ''), reject),
    };
    const upload = new Upload(bytes, options);
    upload.start();
  });
  await run(bytes, { protocol, uploadUrl });
  expect((await listed()).map((file) => file.md5)).toContain(md5(bytes));
});
