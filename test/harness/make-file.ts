import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Writes a file of random bytes. @returns its MD5. */
export async function makeRandomFile(path: string, size: number): Promise<string> {
  const file = await open(path, 'w');
  const hash = createHash('md5');
  try {
    for (let at = 0; at < size;) {
      const chunk = randomBytes(Math.min(4 * 1024 * 1024, size - at));
      hash.update(chunk);
      await file.write(chunk);
      at += chunk.length;
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/** Downloads an address. @returns the status, and MD5 and size of the body. */
export async function digestOfUrl(url: string): Promise<{ status: number; md5: string; size: number }> {
  const answer = await fetch(url);
  const hash = createHash('md5');
  let size = 0;
  for await (const chunk of answer.body ?? []) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { status: answer.status, md5: hash.digest('hex'), size };
}
