/** Whether a file is sent in parts: over several connections, or in the parts that an earlier run has left. */
import { LOOK_INTERVAL_MS } from '../core/other-sender.ts';
import { isWorthParts } from '../core/parts.ts';
import { howToSend, mayResumeParts, takesParts } from '../core/upload-parts.ts';
import type { Wanted } from './begin-alone.ts';
import { ask } from './context.ts';
import type { Context } from './context.ts';
import type { JournalledParts, PartsJournal } from './parts-journal.ts';
import type { ProgressItem } from './progress.ts';
import { sleep } from './retry.ts';
import { endParts } from './send-in-parts.ts';
import type { Streams } from './streams.ts';
import { lookAtUpload } from './verify.ts';

/**
 * The parts that an earlier run has left of the file; null where there are none. While that run still sends them, waits for it.
 * Ends the parts of earlier states of the file.
 *
 * @param isClaimed - where there are none, claims the file: other runs of the command wait for this one.
 */
export async function takeParts(
  context: Context,
  progress: ProgressItem,
  { name, size }: Wanted,
  journal: PartsJournal,
  isClaimed: boolean,
): Promise<JournalledParts | null> {
  await endParts(context, await journal.takeOutdated());
  let said = false;
  for (;;) {
    const left = await journal.find();
    if (left === null) {
      // Where the journal cannot be written, there is nobody to wait for.
      if (!isClaimed || (await journal.claim().catch(() => true))) return null;
      continue;
    }
    const idleSeconds = left.sender === 'unknown' ? await idleOf(context, name, left) : [];
    if (mayResumeParts(left.sender, idleSeconds)) return left;
    if (!said) {
      context.output.say(`${name}: another run of this command is already sending these bytes; waiting for it`);
      progress.phase('waiting', size);
    }
    said = true;
    await sleep(LOOK_INTERVAL_MS, context.signal);
  }
}

/**
 * What is left of parts whose final upload may be gone: it has become a file, and the service has forgotten it, or it was
 * deleted. Then it says nothing any more, and the parts count by themselves.
 */
export async function withoutLostFinal(
  context: Context,
  { name, size }: Wanted,
  left: JournalledParts | null,
): Promise<JournalledParts | null> {
  const url = left?.finalUrl ?? null;
  if (left === null || url === null) return left;
  const final = await ask(context, name, () => lookAtUpload(context, url, size));
  return final === null ? { ...left, finalUrl: null } : left;
}

/** For how many seconds no byte of each part has come. */
async function idleOf(context: Context, name: string, { parts }: JournalledParts): Promise<number[]> {
  const idle: number[] = [];
  for (const { url, start, end } of parts) {
    const answer = await ask(context, name, () => lookAtUpload(context, url, end - start));
    idle.push(Number(answer?.headers['tidemark-idle'] ?? Infinity));
  }
  return idle;
}

/** Whether the file is sent in parts; says why not, where several connections are wanted. */
export async function isSentInParts(
  context: Context,
  { name, size }: Wanted,
  known: { streams: Streams; left: JournalledParts | null; wholeUrl: string | null },
): Promise<boolean> {
  const { service, signal, output } = context;
  const wantsStreams = known.streams !== 1 && isWorthParts(size);
  const { wholeUrl } = known;
  const isAsked = wantsStreams && known.left === null && wholeUrl !== null;
  const whole = isAsked ? await ask(context, name, () => lookAtUpload(context, wholeUrl, size)) : null;
  const hasWhole = Number(whole?.headers['upload-offset'] ?? 0) > 0;
  const way = howToSend({ size, wantsStreams, hasParts: known.left !== null, hasWhole });
  if (wantsStreams && hasWhole) output.say(`${name}: resuming an upload that was begun over one connection`);
  if (way === 'whole') return false;
  const offers = await ask(context, name, () => service.offers(signal));
  if (takesParts(offers, size)) return true;
  output.say(`${name}: the service does not join the parts of a file of this size; using one connection`);
  return false;
}

/** Ends the parts of a file that are of no use any more, and forgets them. */
export async function dropParts(context: Context, journal: PartsJournal): Promise<void> {
  const left = await journal.find();
  if (left === null) return;
  await endParts(context, left.parts);
  await journal.forget();
}
