/** The mark of a bucket, and what else is in it: on the OSS double, as providers differ. */
import { PART } from '../harness/part.ts';
import { PutObjectCommand, S3 } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { OSS_PRESET } from '../../stores/oss/preset.ts';
import { setUpClient } from '../../stores/s3/client.ts';
import { createKeys } from '../../stores/s3/keys.ts';
import { createObjects } from '../../stores/s3/objects.ts';
import { createSender } from '../../stores/s3/sender.ts';
import { createPlace } from '../../stores/s3/place.ts';
import type { Preset, S3Settings } from '../../stores/s3/settings.ts';
import type { Place } from '../../stores/store.ts';
import { type Surroundings, SYSTEM } from '../../stores/surroundings.ts';
import { type FaultProxy, startFaultProxy } from '../harness/fault-proxy.ts';
import { regionHost } from '../harness/oss/address.ts';
import { createOssClient } from '../harness/oss/client.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { type RunningOss, startOss } from '../harness/oss/oss.ts';

await import(RESOLVE_HERE);

const MARK = '.tidemark-id';
const OURS = 'a'.repeat(32);
const THEIRS = 'b'.repeat(32);
/** Sort before the names of ours. */
const foreign = (count: number): string[] => Array.from({ length: count }, (_, i) => `!other-${i}.bin`);

let oss: RunningOss;
let proxy: FaultProxy;
let closers: (() => void)[] = [];

beforeEach(async () => {
  oss = await startOss();
  proxy = await startFaultProxy({ toPort: oss.port });
});
afterEach(async () => {
  for (const close of closers) close();
  closers = [];
  await proxy.stop();
  await oss.stop();
});

interface Around {
  putIfAbsent?: Preset['putIfAbsent'];
  surroundings?: Partial<Surroundings>;
}

/** The place of a store whose prefix is the whole bucket. */
function openPlace({ putIfAbsent = OSS_PRESET.putIfAbsent, surroundings }: Around = {}): Place {
  const settings: S3Settings = {
    endpoint: `http://${regionHost(oss.region)}:${proxy.port}`,
    region: oss.region,
    bucket: oss.bucket,
    prefix: '',
    accessKeyId: oss.accessKeyId,
    secretAccessKey: oss.secretAccessKey,
    bufferBytes: 1024 * 1024,
    partBytes: PART,
    pathStyle: null,
    endpointIsBucket: false,
  };
  const preset = { ...OSS_PRESET, putIfAbsent };
  const { config, agents, closeConnections } = setUpClient(preset, settings);
  const client = new S3(config);
  closers.push(() => client.destroy(), closeConnections);
  const { signal } = new AbortController();
  const objects = createObjects(
    { client, sender: createSender(client, oss.bucket, agents) },
    oss.bucket,
    preset,
    signal,
    {
      surroundings: { ...SYSTEM, ...surroundings },
    },
  );
  return createPlace(settings, objects, createKeys(settings.prefix));
}

async function put(keys: readonly string[], body = ''): Promise<void> {
  const client = createOssClient(oss);
  for (let at = 0; at < keys.length; at += 50) {
    await Promise.all(
      keys
        .slice(at, at + 50)
        .map((Key) => client.send(new PutObjectCommand({ Bucket: oss.bucket, Key, Body: body || Key }))),
    );
  }
  client.destroy();
}

const putsOfMark = (): number =>
  proxy.calls().filter(({ operation, key }) => operation === 'PutObject' && key === MARK).length;

describe('an empty bucket that two services meet at the same moment', () => {
  test('belongs to the first catalog, where the provider refuses the second mark', async () => {
    const ours = openPlace();
    const theirs = openPlace();
    expect([await ours.readMark(), await theirs.readMark()]).toEqual([undefined, undefined]);
    await theirs.writeMark(THEIRS, undefined);
    await expect(ours.writeMark(OURS, undefined)).rejects.toMatchObject({ code: 'unavailable' });
    expect(await ours.readMark()).toBe(THEIRS);
  });

  test('and stays with the first catalog, whose answer was lost', async () => {
    const rule = proxy.place({ operation: 'PutObject', key: MARK, fault: { kind: 'loseAnswer' } });
    await openPlace().writeMark(OURS, undefined);
    expect(rule.hits()).toBe(1);
    expect(await openPlace().readMark()).toBe(OURS);
  });

  test.each([
    { provider: 'has no conditional put', putIfAbsent: null },
    { provider: 'refuses the condition', putIfAbsent: { 'if-none-match': '*' } },
    { provider: 'ignores the condition', putIfAbsent: { 'x-unknown': '*' } },
  ])('goes to the last one, where the provider $provider', async ({ putIfAbsent }) => {
    const waits: number[] = [];
    const wait = async (forMs: number): Promise<void> => void waits.push(forMs);
    const theirs = openPlace({ putIfAbsent, surroundings: { wait, random: () => 0.25 } });
    const ours = openPlace({
      putIfAbsent,
      surroundings: {
        random: () => 0,
        wait: async (forMs) => {
          waits.push(forMs);
          await theirs.writeMark(THEIRS, undefined);
        },
      },
    });
    await expect(ours.writeMark(OURS, undefined)).rejects.toMatchObject({ code: 'unavailable' });
    expect(waits).toEqual([1_000, 1_250]);
    expect(await theirs.readMark()).toBe(THEIRS);
  });

  test('a mark that is there is replaced where that is meant', async () => {
    const place = openPlace();
    await place.writeMark(THEIRS, undefined);
    const before = putsOfMark();
    await place.writeMark(OURS, THEIRS);
    expect(await place.readMark()).toBe(OURS);
    expect(putsOfMark()).toBe(before + 1);
  });
});

describe("behind a hundred of other people's names", () => {
  test('the mark is seen in the listing', async () => {
    await put(['!'.repeat(3), ...foreign(100)]);
    await put([MARK], `${THEIRS}\n`);
    // As for a service that looks just before another one writes it.
    proxy.place({ operation: 'GetObject', times: 1, fault: { kind: 'deny', code: 'NoSuchKey' } });
    expect(await openPlace().readMark()).toBe(THEIRS);
    proxy.place({ operation: 'GetObject', times: Infinity, fault: { kind: 'deny', code: 'NoSuchKey' } });
    await expect(openPlace().readMark()).rejects.toThrow('is listed, and was not found');
  });

  test.each(['0123-ours', `tails/0123-ours/0-${'c'.repeat(12)}`])('%s is seen', async (key) => {
    await put(foreign(150).flatMap((name) => [name, `${name}/in-a-folder.bin`]));
    expect(await openPlace().hasBytes()).toBe(false);
    await put([key]);
    expect(await openPlace().hasBytes()).toBe(true);
  });

  test('a bucket with too many of them counts as used', { timeout: 120_000 }, async () => {
    await put(foreign(2_001));
    const before = proxy.calls().length;
    expect(await openPlace().hasBytes()).toBe(true);
    // One for the tails.
    expect(proxy.calls().length - before).toBe(1 + 20);
  });
});
