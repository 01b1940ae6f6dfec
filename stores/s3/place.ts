/** The mark: a small object under a bucket's prefix says which catalog the prefix belongs to. */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { S3 } from '@aws-sdk/client-s3';
import { type ClosedPlace, type Place, StoreError } from '../store.ts';
import { isMissing } from './ask.ts';
import type { Body } from './calls.ts';
import { bucketOf, setUpClient } from './client.ts';
import { toStoreError } from './errors.ts';
import { createKeys, type Keys } from './keys.ts';
import { createObjects, type Objects } from './objects.ts';
import { callWithRetries } from './retry.ts';
import { createSender } from './sender.ts';
import type { Preset, S3Settings } from './settings.ts';

/** An id of a catalog. An object with anything else is not a mark. */
const ID = /^[\w-]{16,64}$/;
/** Longer objects are not read. */
const MOST_BYTES = 100;
/** How often the mark is read again when its body breaks off. */
const MOST_BODIES = 4;
/** How many pages of 100 names are searched for contents. */
const MOST_GLANCES = 20;
/** How long to wait at least before a mark that others can overwrite is read again; at most twice as long. */
const SHORTEST_WAIT_MS = 1_000;
/** For a place whose store is not open: where the bucket does not answer, opening the store reports why. */
const ONE_LOOK = { attempts: 1, timeoutMs: 1_000 };

type Description = Omit<ClosedPlace, 'readMark'>;

function describePlace({ bucket, prefix }: S3Settings): Description {
  return { kind: 'bucket', name: `${bucket}/${prefix}`, settings: 'S3_BUCKET, S3_PREFIX' };
}

/** The place of a store that is not open. It reads the mark with a client of its own, without retries. */
export function closedPlace(preset: Preset, settings: S3Settings): ClosedPlace {
  return {
    ...describePlace(settings),
    readMark: async () => {
      const { config, agents, closeConnections } = setUpClient(preset, settings);
      const client = new S3(config);
      const closing = new AbortController();
      try {
        const bucket = bucketOf(settings);
        const clients = { client, sender: createSender(client, bucket, agents) };
        const objects = createObjects(clients, bucket, preset, closing.signal, { patience: ONE_LOOK });
        return await readMark(objects, createKeys(settings.prefix));
      } finally {
        client.destroy();
        closeConnections();
      }
    },
  };
}

/** The place of an open store. */
export function createPlace(settings: S3Settings, objects: Objects, keys: Keys): Place {
  return {
    ...describePlace(settings),
    readMark: () => readMark(objects, keys),
    writeMark: (id, replaced) => writeMark(objects, keys, id, replaced),
    hasBytes: () => hasBytes(objects, keys),
  };
}

async function readMark(objects: Objects, { mark }: Keys): Promise<string | undefined> {
  let text = await readText(objects, mark);
  if (text === undefined) {
    // One answer alone proves nothing, and a new mark would take the bucket from its catalog.
    if (!(await objects.glance(mark)).keys.includes(mark)) return undefined;
    // Another service that starts at the same time may just have written it.
    text = await readText(objects, mark);
    if (text === undefined) throw new StoreError('unavailable', `${mark} is listed, and was not found`);
  }
  const id = text.trim();
  if (!ID.test(id)) throw new StoreError('unavailable', `${mark} does not hold the id of a catalog`);
  return id;
}

/** Undefined where there is no such object. Reads it again when the body breaks off. */
async function readText(objects: Objects, key: string): Promise<string | undefined> {
  async function read(): Promise<string> {
    const { body, length } = await objects.get(key);
    if (length <= MOST_BYTES) return (await buffer(body)).toString();
    body.destroy();
    return '';
  }
  try {
    return await callWithRetries(read, { attempts: MOST_BODIES, surroundings: objects.surroundings });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw toStoreError(error, `reading ${key}`);
  }
}

async function writeMark(objects: Objects, keys: Keys, id: string, replaced: string | undefined): Promise<void> {
  const bytes = Buffer.from(`${id}\n`);
  const md5 = createHash('md5').update(bytes).digest('hex');
  const body: Body = { bytes, md5, onFailure: () => undefined };
  if (replaced !== undefined) await objects.putMark(keys.mark, body);
  else if ((await claim(objects, keys, body)) === 'overwritable') {
    // The last service that puts its mark wins, and the others see that after this wait. One case is left: a service that
    // found no mark puts its own only after the wait of another.
    const { surroundings } = objects;
    await surroundings.wait(SHORTEST_WAIT_MS * (1 + surroundings.random()));
  }
  const found = await readMark(objects, keys);
  if (found !== id) throw new StoreError('unavailable', `${keys.mark} was written by another service at the same time`);
}

/**
 * Puts a mark where there is none.
 *
 * @returns `final`: the provider refuses a second mark. `overwritable`: another service may still overwrite this one.
 */
async function claim(objects: Objects, { mark }: Keys, body: Body): Promise<'final' | 'overwritable'> {
  let answer = await objects.putMarkIfAbsent(mark, body);
  // Some providers ignore the condition. One that honours it refuses a second put.
  if (answer === 'stored') answer = await objects.putMarkIfAbsent(mark, body);
  if (answer === 'occupied') return 'final';
  if (answer === 'unsupported') await objects.putMark(mark, body);
  return 'overwritable';
}

/** Whether there are tails, contents, or (where the provider lists them) multipart uploads. */
async function hasBytes(objects: Objects, keys: Keys): Promise<boolean> {
  const tails = await objects.glance(keys.tails());
  if (tails.keys.length > 0 || tails.folders.length > 0 || (await hasContents(objects, keys))) return true;
  for await (const { key } of objects.listMultiparts(keys.prefix)) {
    if (keys.ownerOfFinal(key) !== undefined) return true;
  }
  return false;
}

/** In a shared bucket, names of other programs may come first in the listing. Also true where there are too many of them. */
async function hasContents(objects: Objects, keys: Keys): Promise<boolean> {
  let from: string | undefined;
  for (let glances = 0; glances < MOST_GLANCES; glances++) {
    const { keys: found, next } = await objects.glance(keys.prefix, from);
    if (found.some((key) => keys.ownerOfFinal(key) !== undefined)) return true;
    if (next === undefined) return false;
    from = next;
  }
  return true;
}
