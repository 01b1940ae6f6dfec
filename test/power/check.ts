/** Starts a service on what a power cut left, and holds it to what was told before. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Database } from '../../server/catalog/sqlite/database.ts';
import { parseConfig } from '../../server/config/parse.ts';
import { createLog } from '../../server/log.ts';
import { type Service, startService } from '../../server/service.ts';
import { md5 } from '../harness/bytes.ts';
import { type Answer, createUpload, head, patch, send } from '../harness/tus.ts';
import { joinAfterCut, mayBeGone } from './check-joins.ts';
import { bytesOf, EVERY_ANSWER_IS_DURABLE, md5Of, type Story, toldBefore } from './story.ts';

/** One for all services of this process: each log waits for the process's end. */
const LOG = createLog('silent');

/** Says which catalog the folder belongs to. */
const MARK = '.tidemark-id';
/** How long the jobs of further starts may run, when something is left over. */
const JOBS_MS = [100, 1000, 3000];

export interface CheckOptions {
  dataDir: string;
  stories: readonly Story[];
  /** When the power went. */
  time: number;
  /** Picks which uploads are resumed afterwards, and which files are sent once more. */
  dice: (below: number) => number;
}

interface Listed {
  id: string;
  name: string;
  size: number;
  md5: string;
  url: string;
}

/** Broken promises, in words. */
export async function checkAfterCut(options: CheckOptions): Promise<string[]> {
  const problems: string[] = [];
  const other = options.dice(2) === 0 ? await sendOnceMore(options, problems) : undefined;
  const stories = other ? [...options.stories, other] : options.stories;
  await withService(options.dataDir, true, problems, async (service) => {
    await checkTold(service, stories, options.time, problems);
    if (options.dice(2) === 0) await goOn(service, { ...options, stories }, problems);
  });
  // Where the service does not start there may be nothing to look at.
  if (problems.length > 0) return problems;
  problems.push(...(await findLeft({ ...options, stories }, problems)).map((name) => `left over: ${name}`));
  return problems;
}

async function withService(
  dataDir: string,
  jobs: boolean,
  problems: string[],
  action: (service: Service) => Promise<void>,
): Promise<void> {
  const config = parseConfig({ DATA_DIR: dataDir, LISTEN: '127.0.0.1', HTTP_PORT: '0', SHUTDOWN_TIMEOUT: '1s' });
  let service: Service;
  try {
    service = await startService(config, LOG, { jobs });
  } catch (error) {
    problems.push(
      `the service does not start: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    return;
  }
  try {
    await action(service);
  } catch (error) {
    problems.push(`no answer: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  } finally {
    await service.stop();
  }
}

/** Another client has the same bytes as one that was interrupted, and is first to send them. */
async function sendOnceMore(
  { dataDir, stories, time, dice }: CheckOptions,
  problems: string[],
): Promise<Story | undefined> {
  const begun = stories.filter(
    ({ size, events }) => size > 0 && events.some(({ at, what }) => what === 'created' && at <= time),
  );
  const like = begun[begun.length - 1 - dice(Math.min(begun.length, 4))];
  if (!like) return undefined;
  const { kind: _, wholes: __, ...content } = like;
  const story: Story = { ...content, id: null, name: `again-${like.name}`, events: [] };
  await withService(dataDir, false, problems, async ({ localUrl }) => {
    const location = await createUpload(localUrl, story.size, { filename: story.name });
    story.id = location.split('/').at(-1) ?? null;
    const answer = await sendRest(location, story, 0);
    const fileId = answer.headers['tidemark-file-id'];
    if (answer.status !== 204 || typeof fileId !== 'string')
      problems.push(`${story.name}: ${answer.status} ${answer.body}`);
    else story.events.push({ at: time, what: 'complete', fileId });
  });
  return story;
}

/** How often a client tries again that is told to. */
const MOST_TRIES = 3;

/** Sends what is left, as a client does: after a 503 from what is there then, once the time that it is told has passed. */
async function sendRest(
  location: string,
  story: Story,
  from: number,
  declares: Record<string, string> = {},
): Promise<Answer> {
  let offset = from;
  for (let attempt = 1; ; attempt++) {
    const answer = await patch(location, offset, bytesOf(story).subarray(offset), declares);
    if (answer.status !== 503 || attempt === MOST_TRIES) return answer;
    await wait(Number(answer.headers['retry-after']) * 1000);
    offset = Number((await head(location)).headers['upload-offset']);
  }
}

async function listAll(service: Service): Promise<Listed[]> {
  const { status, body } = await send('GET', `${service.localUrl}/api/files?limit=1000`);
  if (status !== 200) throw new Error(`the files are not listed: ${status} ${body}`);
  return (JSON.parse(body) as { files: Listed[] }).files;
}

async function checkTold(service: Service, stories: readonly Story[], time: number, problems: string[]): Promise<void> {
  const answers = await Promise.all(
    stories.map(({ id }) => (id === null ? Promise.resolve(undefined) : head(`${service.localUrl}/uploads/${id}`))),
  );
  const files = await listAll(service);
  for (const [index, story] of stories.entries()) {
    const answer = answers[index];
    if (answer?.status !== 200 && mayBeGone(story, stories, files)) continue;
    checkStory(story, time, answer, files, problems);
  }
  // A partial is never published.
  const known = new Set(stories.filter(({ kind }) => kind !== 'partial').map((story) => md5Of(story)));
  const sound = new Set<string>();
  for (const file of files) {
    if (!known.has(file.md5)) problems.push(`${file.name} is listed with an MD5 that nobody sent`);
    if (sound.has(file.md5)) continue;
    sound.add(file.md5);
    const wrong = await checkDownload(service, file);
    if (wrong) problems.push(`${file.name} is listed, and ${wrong}`);
  }
}

function checkStory(story: Story, time: number, answer: Answer | undefined, files: Listed[], problems: string[]): void {
  const told = toldBefore(story, time).filter(
    ({ what }) => EVERY_ANSWER_IS_DURABLE || (what !== 'created' && what !== 'listed'),
  );
  const has = (what: string): boolean => told.some((event) => event.what === what);
  const wrong = (text: string): void => {
    problems.push(`${story.name} (${story.id}): ${text}; told ${JSON.stringify(told.at(-1))}`);
  };
  const found = answer?.status === 200 ? Number(answer.headers['upload-offset']) : -1;
  const usual = story.doomed ? [200, 404, 410, 460] : [200, 404, 410];
  if (answer && !usual.includes(answer.status)) wrong(`HEAD is answered with ${answer.status}`);
  if (found > story.size) wrong(`HEAD tells ${found} of ${story.size} bytes`);
  if (story.wholes && found >= 0 && !story.wholes.includes(found))
    wrong(`HEAD tells ${found}, a part of a request that counts whole or not at all`);
  if (story.kind === 'partial' && answer?.headers['tidemark-file-id']) wrong('it is a partial, and is published');
  for (const event of told) {
    if (event.what === 'rejected' && found >= 0) wrong('HEAD knows it, though it was rejected');
    if (has('removing') || (story.doomed && found < 0)) continue;
    if (event.what === 'created' && found < 0) wrong(`HEAD is answered with ${answer?.status}`);
    if (event.what === 'offset' && found < event.offset) wrong(`HEAD tells ${found} of ${event.offset} that were told`);
    if (event.what === 'complete' || event.what === 'listed') {
      const file = files.find(({ id }) => id === event.fileId);
      if (!file) wrong(`its file is not listed, and HEAD tells ${found}`);
      else if (file.size !== story.size || file.md5 !== md5Of(story)) wrong(`is listed with ${file.size} bytes`);
      else if (!namesOf(story, time).includes(file.name)) wrong(`is listed as ${file.name}`);
    }
  }
  const id = told.find((event) => event.what === 'complete' || event.what === 'listed');
  if (has('removed') && id && 'fileId' in id && files.some((file) => file.id === id.fileId))
    wrong('is listed, though it was removed');
  if (has('removed') && !has('complete') && found >= 0) wrong('HEAD knows it, though it was removed');
}

/** What a file may be called: as it was last told, or as was asked for since. */
function namesOf(story: Story, time: number): string[] {
  let names = [story.name];
  for (const event of toldBefore(story, time)) {
    if (event.what === 'renaming') names.push(event.name);
    if (event.what === 'renamed') names = [event.name];
  }
  return names;
}

async function checkDownload(service: Service, file: Listed): Promise<string | undefined> {
  const answer = await fetch(new URL(new URL(file.url).pathname, service.localUrl));
  const bytes = await answer.arrayBuffer().then(Buffer.from, () => null);
  if (!bytes) return 'its download breaks off';
  if (answer.status !== 200) return `its download is ${answer.status}`;
  if (bytes.length !== file.size || md5(bytes) !== file.md5)
    return `its download has ${bytes.length} bytes and MD5 ${md5(bytes)}`;
  return undefined;
}

/** Some of the unfinished uploads are sent to their end. */
async function goOn(service: Service, { stories, time, dice }: CheckOptions, problems: string[]): Promise<void> {
  for (const story of stories) {
    const location = `${service.localUrl}/uploads/${story.id}`;
    if (story.id === null || toldBefore(story, time).length === 0 || story.kind || dice(3) === 0) continue;
    const state = await head(location);
    const offset = Number(state.headers['upload-offset']);
    if (state.status !== 200 || offset === story.size || state.headers['tidemark-file-id']) continue;
    const declares = state.headers['upload-length'] === undefined ? { 'Upload-Length': String(story.size) } : {};
    const answer = await sendRest(location, story, offset, declares);
    if (answer.status === 460 && story.doomed) continue;
    const fileId = answer.headers['tidemark-file-id'];
    const file = (await listAll(service)).find(({ id }) => id === fileId);
    if (answer.status !== 204 || !file)
      problems.push(`${story.name} does not go on from ${offset}: ${answer.status} ${answer.body}`);
    else if (file.md5 !== md5Of(story))
      problems.push(`${story.name} went on from ${offset} and is published with other bytes`);
  }
  await joinAfterCut({ service, stories, time, problems, list: () => listAll(service) });
  for (const file of await listAll(service)) {
    const wrong = await checkDownload(service, file);
    if (wrong) problems.push(`${file.name} is listed after others went on, and ${wrong}`);
  }
}

/** After the jobs the folder has the bytes of contents and of unfinished uploads, and nothing else. */
async function findLeft(options: CheckOptions, problems: string[]): Promise<string[]> {
  const { dataDir } = options;
  let left = listLeft(options);
  for (const jobsMs of JOBS_MS) {
    if (left.length === 0) break;
    await withService(dataDir, true, problems, async () => {
      await wait(jobsMs);
    });
    left = listLeft(options);
  }
  return left;
}

function listLeft({ dataDir, stories, time }: CheckOptions): string[] {
  const database = new Database(join(dataDir, 'catalog.db'), { readonly: true });
  try {
    const keys = database.prepare('SELECT key FROM contents').all() as { key: string }[];
    const uploads = database.prepare('SELECT id, state, "offset" FROM uploads').all() as {
      id: string;
      state: string;
      offset: number;
    }[];
    const rows = new Map(uploads.map((row) => [row.id, row]));
    // Its final name can be there without its own one, and then nothing tells whose it was: docs/decisions/0020, limits.
    const isLost = (story: Story): boolean => {
      const row = story.id === null ? undefined : rows.get(story.id);
      if (row) return row.state === 'receiving' && row.offset === 0;
      return !toldBefore(story, time).some(({ what }) => what === 'complete');
    };
    const lost = stories.filter(isLost).map((story) => md5Of(story));
    const ended = uploads.filter(({ state }) => state !== 'receiving');
    const known = new Set([MARK, ...keys.map(({ key }) => key)]);
    const gone = new Set(ended.map(({ id }) => `tmp_${id}`));
    // Bytes of uploads that the catalog does not know wait for some days: it may be another catalog.
    const mayStay = (name: string): boolean =>
      known.has(name) || lost.includes(name.slice(0, 32)) || (name.startsWith('tmp_') && !gone.has(name));
    return readdirSync(join(dataDir, 'files')).filter((name) => !mayStay(name));
  } finally {
    database.close();
  }
}
