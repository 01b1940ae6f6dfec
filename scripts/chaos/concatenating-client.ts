/** A client that sends a file as several partial uploads at once, and joins them (tus 1.0.0, "Concatenation"). */
import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { encodeMetadata, TUS } from '../../test/harness/tus.ts';
import type { Random } from './random.ts';
import { ask, type Plan, request, rest, type Run } from './requests.ts';
import { begin, bring, type Sent } from './resuming-client.ts';

const MOST_PARTIALS = 4;
const USED_TWICE_ONE_IN = 6;
const MOST_ANNOUNCEMENTS = 50;
/** How often the client asks whether the final is joined, and the pause between. */
const MOST_LOOKS = 200;
const LOOK_EVERY_MS = 300;

/** Uploads a whole file by partials. Where one of them is used twice, the file is longer than the bytes of the plan. */
export async function uploadByPartials(run: Run, plan: Plan): Promise<Sent> {
  const { dice, name } = plan;
  const partials = cut(dice, plan.bytes).map((bytes, index): Plan => ({
    ...plan,
    bytes,
    name: `${name} part ${index}`,
    isDeferred: false,
  }));
  const locations: string[] = [];
  for (const partial of partials) {
    locations.push(
      await begin(run, partial, { 'Upload-Length': String(partial.bytes.length), 'Upload-Concat': 'partial' }),
    );
  }
  const order = [...partials.keys()];
  if (dice.between(1, USED_TWICE_ONE_IN) === 1) order.push(dice.pick(order));
  const bytes = Buffer.concat(order.map((index) => partials[index]?.bytes ?? Buffer.alloc(0)));
  const addresses = order.map((index) => locations[index] ?? '');
  const bringAll = (): Promise<unknown> =>
    Promise.all(partials.map((partial, index) => bring(run, partial, locations[index] ?? '')));
  // A final may be announced before its partials are whole.
  const isEarly = dice.between(1, 2) === 1;
  if (!isEarly) await bringAll();
  const final = await announce(run, plan, addresses);
  if (isEarly) await bringAll();
  await untilJoined(run, plan, { location: final.location, size: bytes.length });
  for (const location of locations) await ask(run, plan, 'DELETE', location, TUS);
  return { ...final, size: bytes.length, md5: createHash('md5').update(bytes).digest('hex') };
}

function cut(dice: Random, bytes: Buffer): Buffer[] {
  const cuts = Array.from({ length: dice.between(1, MOST_PARTIALS) - 1 }, () => dice.between(0, bytes.length));
  const bounds = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
  return bounds.slice(1).map((end, index) => bytes.subarray(bounds[index], end));
}

/** Creates the final. Where the answer is lost, the final may exist: the next attempt has another name. */
async function announce(run: Run, plan: Plan, partials: string[]): Promise<Pick<Sent, 'name' | 'location'>> {
  for (let tried = 1; tried <= MOST_ANNOUNCEMENTS; tried++) {
    const name = tried === 1 ? plan.name : `${plan.name}-${tried}`;
    const headers = {
      ...TUS,
      'Upload-Concat': `final;${partials.map((location) => new URL(location).pathname).join(' ')}`,
      'Upload-Metadata': encodeMetadata({ filename: name }),
    };
    const answer = await request('POST', `${run.url}/uploads`, headers, { killed: plan.killed() });
    if (answer?.status === 201) return { name, location: answer.headers.location ?? '' };
    run.uncertain.push(name);
    await rest(run, plan, `POST of the final ${name}`, answer);
  }
  throw new Error(`no answer to the final of ${plan.name}`);
}

async function untilJoined(run: Run, plan: Plan, { location, size }: Pick<Sent, 'location' | 'size'>): Promise<void> {
  for (let looks = 0; looks < MOST_LOOKS; looks++) {
    const head = await ask(run, plan, 'HEAD', location, TUS);
    if (head.status !== 200) throw new Error(`HEAD of the final ${plan.name}: ${head.status}`);
    const offset = head.headers['upload-offset'];
    if (offset === String(size)) return;
    if (offset !== undefined)
      run.problems.push(`the final ${plan.name} of ${size} bytes tells the offset ${offset as string}`);
    await wait(LOOK_EVERY_MS);
  }
  throw new Error(`the final ${plan.name} is not joined`);
}
