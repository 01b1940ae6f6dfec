/**
 * A client of the coming standard (draft-ietf-httpbis-resumable-upload): it learns the upload's address from a 104, or
 * creates an empty upload first; after a break it asks for the offset, which must hold, and appends there.
 */
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Answer } from '../../test/harness/tus.ts';
import { ask, MOST_REQUESTS, type Plan, request, rest, type Run } from './requests.ts';
import type { Sent } from './resuming-client.ts';

const DIALECTS = ['10', '9', '8', '6'];
const DONE = '?1';

/** An upload as far as its client knows it. */
interface Known {
  location: string;
  /** The highest offset that the service has told. */
  told: number;
  dialect: string;
  /**
   * A request was given up at a node that stood still. It may take that up after the HEAD that followed, as if it had been
   * under way for so long: nothing tells the two apart.
   */
  mayComeLate: boolean;
}

/** Uploads a whole file. */
export async function uploadByRufh(run: Run, plan: Plan): Promise<Sent> {
  const { name, bytes, dice } = plan;
  const dialect = dice.pick(DIALECTS);
  // An upload without bytes would be complete with its creation, even where the answer is lost.
  const isCareful = bytes.length === 0 || dice.between(1, 2) === 1;
  const begun = isCareful ? await createEmpty(run, plan, dialect) : await createWithBytes(run, plan, dialect);
  if (!begun.isDone) await bring(run, plan, begun);
  return { name, location: begun.location, size: bytes.length, md5: createHash('md5').update(bytes).digest('hex') };
}

/** What every creation declares. The length may be left to the request that completes the upload. */
function creation({ name, bytes, dice, isDeferred }: Plan, dialect: string): Record<string, string> {
  const isKnown = !isDeferred && dice.between(1, 2) === 1;
  return {
    'Upload-Draft-Interop-Version': dialect,
    'Content-Disposition': `attachment; filename="${name}"`,
    ...(isKnown ? { 'Upload-Length': String(bytes.length) } : {}),
  };
}

async function createEmpty(run: Run, plan: Plan, dialect: string): Promise<Known & { isDone: boolean }> {
  const headers = { ...creation(plan, dialect), 'Upload-Complete': '?0' };
  const answer = await ask(run, plan, 'POST', `${run.url}/uploads`, headers);
  const location = answer.headers.location;
  if (answer.status !== 201 || !location) throw new Error(`creation of ${plan.name}: ${answer.status} ${answer.body}`);
  return { location, told: 0, dialect, mayComeLate: false, isDone: false };
}

/** Creates the upload by the request that brings all bytes. They follow once a 104 has told the address. */
async function createWithBytes(run: Run, plan: Plan, dialect: string): Promise<Known & { isDone: boolean }> {
  for (let tried = 1; tried <= MOST_REQUESTS; tried++) {
    const known: Known = { location: '', told: 0, dialect, mayComeLate: false };
    const target = plan.dice.pick(['/uploads', '/api/files']);
    const headers = { ...creation(plan, dialect), 'Upload-Complete': DONE };
    const answer = await request('POST', `${run.url}${target}`, headers, {
      body: plan.bytes,
      dice: plan.dice,
      killed: plan.killed(),
      whenTold: (status, told) => noteTold(known, status, told),
      onSilence: () => (known.mayComeLate = true),
    });
    // The answer's own Location is that of the file.
    if (isDone(answer)) return { ...known, isDone: true };
    if (known.location !== '') {
      await rest(run, plan, `creation of ${plan.name} by ${target}`, answer);
      return { ...known, isDone: false };
    }
    await rest(run, plan, `creation of ${plan.name} by ${target}`, answer);
  }
  throw new Error(`no address of ${plan.name}`);
}

/** Notes what a 104 tells. @returns whether the address is known. */
function noteTold(known: Known, status: number, { location, ...told }: IncomingHttpHeaders): boolean {
  if (status !== 104) return false;
  if (location !== undefined) known.location = location;
  known.told = Math.max(known.told, Number(told['upload-offset'] ?? 0));
  return known.location !== '';
}

function isDone(answer: Answer | undefined): boolean {
  return answer !== undefined && answer.status < 300 && answer.headers['upload-complete'] === DONE;
}

async function bring(run: Run, plan: Plan, known: Known): Promise<void> {
  const { bytes, dice, name } = plan;
  const version = { 'Upload-Draft-Interop-Version': known.dialect };
  for (let requests = 0; requests < MOST_REQUESTS; requests++) {
    const head = await ask(run, plan, 'HEAD', known.location, version);
    if (head.status > 299)
      throw new Error(`HEAD of ${name}, of which ${known.told} bytes were acknowledged: ${head.status}`);
    if (head.headers['upload-complete'] === DONE) return;
    const offset = Number(head.headers['upload-offset']);
    if (!(offset >= known.told)) run.problems.push(`the offset of ${name} went back from ${known.told} to ${offset}`);
    known.told = Math.max(known.told, offset);
    const end = dice.pick([bytes.length, bytes.length, dice.between(offset, bytes.length)]);
    const isLast = end === bytes.length && dice.between(1, 4) > 1;
    const headers = {
      ...version,
      'Content-Type': 'application/partial-upload',
      'Upload-Offset': String(offset),
      'Upload-Complete': isLast ? DONE : '?0',
    };
    const answer = await request('PATCH', known.location, headers, {
      body: bytes.subarray(offset, end),
      dice,
      killed: plan.killed(),
      onTold: (status, told) => void noteTold(known, status, told),
      onSilence: () => (known.mayComeLate = true),
    });
    if (isLast && isDone(answer)) return;
    if (answer && answer.status < 300) known.told = Math.max(known.told, end);
    else await rest(run, plan, `append to ${name} at ${offset}`, answer);
    // The HEAD before has ended every other writer of this client.
    if (answer?.status === 409 && !known.mayComeLate)
      run.problems.push(`${name}: HEAD told ${offset}, and the append there is refused: ${answer.body}`);
  }
  throw new Error(`no end of ${name} after ${MOST_REQUESTS} requests, at ${known.told} of ${bytes.length}`);
}
