/**
 * A client of tus that resumes: HEAD, PATCH at that offset, and again.
 */
import { createHash } from 'node:crypto';
import { makeBytes } from '../../test/harness/bytes.ts';
import { encodeMetadata, TUS } from '../../test/harness/tus.ts';
import { chooseChecksum } from './checksums.ts';
import type { Random } from './random.ts';
import { ask, MOST_REQUESTS, type Plan, request, rest, type Run } from './requests.ts';

const MIB = 1024 * 1024;
/** One of this many PATCHes is sent twice at once. */
const COPIED_ONE_IN = 6;
/** "Checksum Mismatch". */
const MISMATCH = 460;

/** A file of a run, as its client knows it. */
export interface Sent {
  name: string;
  location: string;
  size: number;
  md5: string;
}

/** What a request brings: from its offset to before its end. */
interface Section {
  offset: number;
  end: number;
}

/** Adds to the offsets at which an upload may be those to which late requests may have brought it from there. */
function withLate(possible: number[], late: Section[]): number[] {
  const offsets = [...possible];
  // Offsets that are added on the way are looked at, too.
  for (const offset of offsets) {
    for (const section of late) {
      if (section.offset === offset && !offsets.includes(section.end)) offsets.push(section.end);
    }
  }
  return offsets;
}

/** Makes the bytes of a file: most are small, some have several parts. @param same - equal numbers and sizes give equal bytes. */
export function chooseBytes(dice: Random, same: number): Buffer {
  const sort = dice.between(1, 100);
  const size =
    sort <= 50
      ? dice.between(0, 200_000)
      : sort <= 75
        ? dice.between(200_000, 4 * MIB)
        : dice.between(4 * MIB, 18 * MIB);
  return makeBytes(size, same);
}

/** Uploads a whole file. */
export async function upload(run: Run, plan: Plan): Promise<Sent> {
  const { name, bytes, isDeferred } = plan;
  const length: Record<string, string> = isDeferred
    ? { 'Upload-Defer-Length': '1' }
    : { 'Upload-Length': String(bytes.length) };
  const location = await begin(run, plan, length);
  await bring(run, plan, location);
  return { name, location, size: bytes.length, md5: createHash('md5').update(bytes).digest('hex') };
}

/** Creates an upload. @returns its address. */
export async function begin(run: Run, plan: Plan, headers: Record<string, string>): Promise<string> {
  const { name } = plan;
  const begun = await ask(run, plan, 'POST', `${run.url}/uploads`, {
    ...TUS,
    ...headers,
    'Upload-Metadata': encodeMetadata({ filename: name }),
  });
  if (begun.status !== 201) throw new Error(`POST of ${name}: ${begun.status} ${begun.body}`);
  return begun.headers.location ?? '';
}

/** Sends until the service reports that it has all bytes. */
export async function bring(run: Run, plan: Plan, location: string): Promise<void> {
  const { bytes, isDeferred, dice, name } = plan;
  let told = 0;
  /** The offsets at which the last request may have left the upload, where it counts whole or not at all. */
  let possible: number[] | undefined;
  /** Requests with a right checksum that got no answer, as the client was killed or gave up: a node may take them up later. */
  const late: Section[] = [];
  for (let requests = 0; requests < MOST_REQUESTS; requests++) {
    const head = await ask(run, plan, 'HEAD', location, TUS);
    if (head.status !== 200)
      throw new Error(`HEAD of ${name}, of which ${told} bytes were acknowledged: ${head.status}`);
    const offset = Number(head.headers['upload-offset']);
    if (offset < told) run.problems.push(`the offset of ${name} went back from ${told} to ${offset}`);
    if (possible) {
      const offsets = withLate(possible, late);
      if (!offsets.includes(offset)) {
        run.problems.push(
          `${name} is at ${offset} after a request with a checksum that leaves it at ${offsets.join(' or ')}`,
        );
      }
    }
    told = Math.max(told, offset);
    const isLengthKnown = head.headers['upload-length'] !== undefined;
    if (offset === bytes.length && isLengthKnown) return;
    const end = dice.pick([bytes.length, bytes.length, dice.between(offset, bytes.length)]);
    const declares = isDeferred && end === bytes.length && !isLengthKnown;
    const body = bytes.subarray(offset, end);
    const checksum = plan.isChecksummed ? await chooseChecksum(dice, body) : undefined;
    possible = checksum && (checksum.isRight ? [offset, end] : [offset]);
    const headers = {
      ...TUS,
      'Upload-Offset': String(offset),
      'Content-Type': 'application/offset+octet-stream',
      ...(declares ? { 'Upload-Length': String(bytes.length) } : {}),
      ...checksum?.headers,
    };
    // Like a client that lost an answer, or runs twice: another node gets the same bytes at the same time. Not where the
    // PATCH declares the length, which is possible only once: the client has to ask whether it was declared.
    const copies = dice.between(1, COPIED_ONE_IN) === 1 && !declares ? 2 : 1;
    const sending = { body, dice, killed: plan.killed(), trailers: checksum?.trailers };
    const answers = await Promise.all(
      Array.from({ length: copies }, () => request('PATCH', location, headers, sending)),
    );
    if (checksum?.isRight && answers.includes(undefined)) late.push({ offset, end });
    const taken = answers.filter((answer) => answer?.status === 204);
    if (taken.length > 1 && end > offset) run.problems.push(`the bytes of ${name} at ${offset} were taken twice`);
    for (const answer of taken) told = Math.max(told, Number(answer?.headers['upload-offset']));
    if (taken.length > 0 && checksum?.isRight === false) run.problems.push(`${name}: a wrong checksum was accepted`);
    for (const answer of answers) {
      if (answer?.status === MISMATCH && checksum?.isRight === false) continue;
      if (answer?.status !== 204) await rest(run, plan, `PATCH of ${name} at ${offset}`, answer);
    }
  }
  throw new Error(`no end of ${name} after ${MOST_REQUESTS} requests, at ${told} of ${bytes.length}`);
}

/** Deletes the file of an upload. If an answer is lost, the request is repeated, and the file may be gone by then. */
export async function remove(run: Run, plan: Plan, { location, name }: Sent): Promise<void> {
  const answer = await ask(run, plan, 'DELETE', location, TUS);
  if (![204, 404, 410].includes(answer.status)) run.problems.push(`DELETE of ${name}: ${answer.status} ${answer.body}`);
}

/** Deletes the file of an upload, and restores it from the trash. @returns it; undefined where it may be deleted once more, later. */
export async function removeAndRestore(run: Run, plan: Plan, sent: Sent): Promise<Sent | undefined> {
  const { location, name } = sent;
  const found = await ask(run, plan, 'HEAD', location, TUS);
  const id = String(found.headers['tidemark-file-id']);
  let mayComeLate = false;
  const onSilence = (): void => void (mayComeLate = true);
  const deleted = await ask(run, plan, 'DELETE', location, TUS, { onSilence });
  if (![204, 404, 410].includes(deleted.status)) run.problems.push(`DELETE of ${name}: ${deleted.status}`);
  const headers = { 'Content-Type': 'application/json' };
  const text = JSON.stringify({ files: [id] });
  const answer = await ask(run, plan, 'POST', `${run.url}/api/trash/restore`, headers, { text });
  if (answer.status !== 200) run.problems.push(`restoring ${name}: ${answer.status} ${answer.body}`);
  if (mayComeLate) run.uncertain.push(name);
  return mayComeLate ? undefined : { ...sent, location: `${run.url}/api/files/${id}/content` };
}

/** Renames the file of an upload. @returns the status: 200, or 404 where the file does not exist any more. */
export async function rename(run: Run, plan: Plan, { location }: Sent, name: string): Promise<number> {
  const found = await ask(run, plan, 'HEAD', location, TUS);
  const id = found.headers['tidemark-file-id'];
  if (found.status !== 200 || typeof id !== 'string') return 404;
  const headers = { 'Content-Type': 'application/json' };
  const answer = await ask(run, plan, 'PATCH', `${run.url}/api/files/${id}`, headers, {
    text: JSON.stringify({ name }),
  });
  if (![200, 404].includes(answer.status)) run.problems.push(`rename of ${plan.name}: ${answer.status} ${answer.body}`);
  return answer.status;
}

/** Adds another file with the same bytes, without a transfer. @returns it; undefined where the bytes are gone. */
export async function addInstantly(run: Run, plan: Plan, { md5, size }: Sent, name: string): Promise<Sent | undefined> {
  const query = new URLSearchParams({ md5, size: String(size), filename: name });
  let mayComeLate = false;
  const onSilence = (): void => void (mayComeLate = true);
  const answer = await ask(run, plan, 'GET', `${run.url}/check?${query.toString()}`, {}, { onSilence });
  if (answer.status !== 200) run.problems.push(`/check for ${name}: ${answer.status} ${answer.body}`);
  const found = JSON.parse(answer.body || '{}') as { status?: string; file?: { id: string } };
  if (found.status !== 'exists' || !found.file) {
    // The node that was silent adds the file where another upload has brought the same bytes meanwhile.
    if (mayComeLate) run.uncertain.push(name);
    return undefined;
  }
  return { name, location: `${run.url}/api/files/${found.file.id}/content`, size, md5 };
}
