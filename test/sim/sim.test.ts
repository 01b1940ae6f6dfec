/** Seeds of the simulation: what was promised is kept in each of them. `npm run sim` runs more, and replays one. */
import { expect, test } from 'vitest';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { simulate } from './simulate.ts';

const SEEDS = 500;
const HOUR_MS = 3_600_000;
const PER_TEST = 50;

const firsts = Array.from({ length: SEEDS / PER_TEST }, (_, index) => 1 + index * PER_TEST);
test.each(firsts)(`every promise is kept in ${PER_TEST} worlds, from seed %i on`, async (first) => {
  let files = 0;
  for (let seed = first; seed < first + PER_TEST; seed++) {
    const outcome = await simulate(seed);
    expect(outcome.problem, `npm run sim -- --seed ${seed}`).toBeUndefined();
    files += outcome.files;
  }
  // Something happens in them.
  expect(files).toBeGreaterThan(PER_TEST);
});

test('a seed replays exactly, whatever was simulated before', async () => {
  const lines: string[] = [];
  const first = await simulate(7, { tell: (line) => lines.push(line) });
  await simulate(8);
  const again: string[] = [];
  expect(await simulate(7, { tell: (line) => again.push(line) })).toEqual(first);
  expect(again).toEqual(lines);
  expect((await simulate(8, { tell: () => undefined })).trace).not.toBe(first.trace);
});

/** Faults that the simulation has to find within 1,000 seeds, each by what it breaks. `from`: the first of these seeds. */
const PLANTED: Record<string, { tamper: (catalog: Catalog) => Catalog; finds: RegExp; from?: number }> = {
  'a commit that counts under any epoch': {
    tamper: (catalog) => ({
      ...catalog,
      commitOffset: async (commit) => {
        const epoch = (await catalog.findUpload(commit.id))?.epoch ?? commit.epoch;
        return catalog.commitOffset({ ...commit, epoch });
      },
    }),
    finds: /under epoch \d+, which is over/,
    // World 136 shows it.
    from: 131,
  },
  'a publication that counts under any epoch': {
    tamper: (catalog) => ({
      ...catalog,
      publish: async (publication) => {
        const epoch = (await catalog.findUpload(publication.uploadId))?.epoch ?? publication.epoch;
        return catalog.publish({ ...publication, epoch });
      },
    }),
    finds: /under epoch \d+, which is over/,
    // One world in about 800 shows it, 1052 for example: a lease has to end between the last byte and the publication.
    from: 1050,
  },
  'a holder that forgets what the one before has left': {
    tamper: (catalog) => ({
      ...catalog,
      findUpload: async (id) => {
        const row = await catalog.findUpload(id);
        return row && { ...row, phase: null };
      },
    }),
    finds: /though \d+ bytes are stored/,
    // World 113 shows it.
    from: 111,
  },
  'a deletion that takes the bytes from other files': {
    tamper: (catalog) => ({
      ...catalog,
      deleteFile: async (id, owner) => {
        const deleted = await catalog.deleteFile(id, owner);
        return deleted && { ...deleted, removedKey: deleted.file.content.key };
      },
      // It refuses a key that a content has.
      claimRemoval: async () => true,
    }),
    finds: /has no bytes under/,
  },
  'a life that is counted from the clock of a node, an hour behind': {
    tamper: (catalog) => ({
      ...catalog,
      createUpload: (upload, most) => catalog.createUpload({ ...upload, lifeMs: upload.lifeMs - HOUR_MS }, most),
    }),
    finds: /expired after/,
  },
  'an expiry by the clock of a node, an hour behind': {
    tamper: (catalog) => ({
      ...catalog,
      listExpired: async (after, limit) =>
        (await catalog.listExpired(after, limit)).filter(({ leftMs }) => leftMs <= -HOUR_MS),
    }),
    finds: /lives longer than it was given/,
  },
};

test.each(Object.entries(PLANTED))('finds %s', async (_, { tamper, finds, from = 1 }) => {
  for (let seed = from; seed < from + 1000; seed++) {
    const { problem } = await simulate(seed, { tamper });
    if (problem === undefined) continue;
    expect(problem).toMatch(finds);
    return;
  }
  expect.unreachable('not found');
});
