/** The beginning of a text of a link, as plain characters: what a browser would otherwise save, as it may contain scripts. */
import type { Files, FileView } from '../uploads/contract.ts';
import { decodeText, MOST_TEXT_BYTES } from '../wire/previews.ts';
import type { Begin } from './send-file.ts';
import { textsFor } from './shared-texts.ts';
import type { Ctx } from './state.ts';

/** Answers with the beginning of a file. */
export async function sendBeginning(ctx: Ctx, files: Files, file: FileView, begin: Begin): Promise<void> {
  const { size } = file.content;
  const end = Math.min(size, MOST_TEXT_BYTES);
  ctx.set({
    'Cache-Control': 'private, no-store',
    'Content-Security-Policy': "default-src 'none'; sandbox",
    'Content-Type': 'text/plain; charset=utf-8',
  });
  if (ctx.method === 'HEAD') {
    ctx.status = 200;
    return;
  }
  const bytes = end === 0 ? Buffer.alloc(0) : await readAll(files, file, end);
  await begin({ kind: 'whole' });
  const text = decodeText(bytes);
  const { text: words } = textsFor(ctx);
  ctx.body = text === null ? words.notText : text + (end < size ? `\n\n[${words.textCut}]` : '');
}

async function readAll(files: Files, file: FileView, end: number): Promise<Buffer> {
  const gone = new AbortController();
  const stream = await files.open(file, { start: 0, end: end - 1 }, gone.signal);
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
