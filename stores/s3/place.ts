/** Which catalog a prefix of a bucket belongs to: a small object under it says so. */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { S3 } from '@aws-sdk/client-s3';
import { type ClosedPlace, type Place, StoreError } from '../store.ts';
import { isMissing } from './ask.ts';
import { bucketOf, setUpClient } from './client.ts';
import { createKeys, type Keys } from './keys.ts';
import { createObjects, type Objects } from './objects.ts';
import type { Preset, S3Settings } from './settings.ts';

/** Of ids; whatever else answers in the place of a mark is none. */
const ID = /^[\w-]{16,64}$/;
/** Nothing longer is read. */
const MOST_BYTES = 100;
/** A place that is looked at before the store is open: where the bucket does not answer, its opening tells why. */
const ONE_LOOK = { attempts: 1, timeoutMs: 2_000 };

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
    writeMark: (id) => writeMark(objects, keys, id),
    hasBytes: () => hasBytes(objects, keys),
  };
}

async function readMark(objects: Objects, { mark, prefix }: Keys): Promise<string | undefined> {
  const text = await readText(objects, mark);
  if (text === undefined) {
    // One answer alone proves nothing: a new mark would take the bucket from its catalog.
    if (!(await objects.glance(prefix)).keys.includes(mark)) return undefined;
    throw new StoreError('unavailable', `${mark} is listed, and was not found`);
  }
  const id = text.trim();
  if (!ID.test(id)) throw new StoreError('unavailable', `${mark} does not hold the id of a catalog`);
  return id;
}

/** Undefined where there is no such object. */
async function readText(objects: Objects, key: string): Promise<string | undefined> {
  try {
    const { body, length } = await objects.get(key);
    if (length <= MOST_BYTES) return (await buffer(body)).toString();
    body.destroy();
    return '';
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

async function writeMark(objects: Objects, keys: Keys, id: string): Promise<void> {
  const bytes = Buffer.from(`${id}\n`);
  const md5 = createHash('md5').update(bytes).digest('hex');
  await objects.putMark(keys.mark, { bytes, md5, onFailure: () => undefined });
  // Of two services that meet an empty bucket at the same moment, one goes on.
  const found = await readMark(objects, keys);
  if (found !== id) throw new StoreError('unavailable', `${keys.mark} was written by another service at the same time`);
}

/** Objects by one page of the listing, which begins with what is not in a folder; multipart uploads where they are listed. */
async function hasBytes(objects: Objects, keys: Keys): Promise<boolean> {
  const { keys: found, folders } = await objects.glance(keys.prefix);
  if (folders.includes(keys.tails()) || found.some((key) => keys.ownerOfFinal(key) !== undefined)) return true;
  for await (const { key } of objects.listMultiparts(keys.prefix)) {
    if (keys.ownerOfFinal(key) !== undefined) return true;
  }
  return false;
}
