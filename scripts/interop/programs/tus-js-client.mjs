// Usage: node tus-js-client.mjs <endpoint> <file>. Resumes by the library's own retries.
import { readFile } from 'node:fs/promises';
import { Upload } from 'tus-js-client';

const [endpoint, path] = process.argv.slice(2);
const bytes = await readFile(path);
await new Promise((resolve, reject) => {
  const upload = new Upload(bytes, {
    endpoint,
    metadata: { filename: 'file.bin' },
    retryDelays: [500, 1000, 3000, 5000],
    onSuccess: resolve,
    onError: reject,
  });
  upload.start();
});
