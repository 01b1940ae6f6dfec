/** Which catalog a prefix of a bucket belongs to: a small object under it says so. */
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
import type { Preset, S3Settings } from './settings.ts';

/** Of ids; anything else that answers in the place of a mark is none. */
const ID = /^[\w-]{16,64}$/;
/** Nothing longer is read. */
const MOST_BYTES = 100;
/** That break off, one after the other. */
const MOST_BODIES = 4;
/** Of 100 names each. */
const MOST_GLANCES = 20;
/** Before a mark that others can overwrite is read again; the longest is twice as long. */
const SHORTEST_WAIT_MS = 1_000;
/** A place that is looked at before the store is open: where the bucket does not answer, opening the store reports why. */
const ONE_LOOK = { attempts: 1, timeoutMs: 1_000 };

type Description = Omit<ClosedPlace, 'readMark'>;

function describePlace({ bucket, prefix }: S3Settings): Description {
  return { kind: 'bucket', name: `${bucket}/${prefix}`, settings: 'S3_BUCKET, S3_PREFIX' };
}

/** The place of a store that is not open. It is asked by a client of its own, once, without another try. */
export function closedPlace(preset: Preset, settings: S3Settings): ClosedPlace {
  return {
    ...describePlace(settings),
    readMark: async () => {
      const { config, closeConnections } = setUpClient(preset, settings);
      const client = new S3(config);
      const closing = new AbortController();
      try {
        const clients = { client, sender: client };
        const objects = createObjects(clients, bucketOf(settings), preset, closing.signal, { patience: ONE_LOOK });
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
    // One answer alone proves nothing: a new mark would take the bucket from its catalog.
    if (!(await objects.glance(mark)).keys.includes(mark)) return undefined;
    // Of services that start at once, another one may just have written it.
    text = await readText(objects, mark);
    if (text === undefined) throw new StoreError('unavailable', `${mark} is listed, and was not found`);
  }
  const id = text.trim();
  if (!ID.test(id)) throw new StoreError('unavailable', `${mark} does not hold the id of a catalog`);
  return id;
}

/** Undefined where there is no such object. An answer whose body breaks off is asked for again. */
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
    // The last of the services that put the mark keeps it, and the others see that here. What is left: one that found
    // no mark, and puts its own only after this wait.
    const { surroundings } = objects;
    await surroundings.wait(SHORTEST_WAIT_MS * (1 + surroundings.random()));
  }
  const found = await readMark(objects, keys);
  if (found !== id) throw new StoreError('unavailable', `${keys.mark} was written by another service at the same time`);
}

/**
 * Puts a mark where there is none.
 *
 * @returns `final`: the provider lets nobody put a second one. `overwritable`: another service may put its own after this.
 */
async function claim(objects: Objects, { mark }: Keys, body: Body): Promise<'final' | 'overwritable'> {
  let answer = await objects.putMarkIfAbsent(mark, body);
  // A provider may ignore the condition, as some look-alikes of AWS do. One that honours it refuses the same put again.
  if (answer === 'stored') answer = await objects.putMarkIfAbsent(mark, body);
  if (answer === 'occupied') return 'final';
  if (answer === 'unsupported') await objects.putMark(mark, body);
  return 'overwritable';
}

/** Whether there are tails, contents, or multipart uploads where the provider lists them. */
async function hasBytes(objects: Objects, keys: Keys): Promise<boolean> {
  const tails = await objects.glance(keys.tails());
  if (tails.keys.length > 0 || tails.folders.length > 0 || (await hasContents(objects, keys))) return true;
  for await (const { key } of objects.listMultiparts(keys.prefix)) {
    if (keys.ownerOfFinal(key) !== undefined) return true;
  }
  return false;
}

/** In a shared bucket other people's names may stand before ours. True, too, where there are too many to look through. */
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
