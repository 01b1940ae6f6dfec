/** Every way by which bytes come, with every name and label: none refuses bytes, and all take the same. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningService, startService } from '../../harness/service.ts';
import { send, TUS } from '../../harness/tus.ts';
import { json } from '../support.ts';
import { ask } from './ask.ts';
import { ABSENT, malformed, UNREADABLE_METADATA } from './labels.ts';
import { NAMES, NO_NAMES } from './names.ts';
import { rows, type Takes } from './routes.ts';
import { freshBytes, makeNamed } from './things.ts';
import { type FileJson, forget, latestFile, RENAMINGS, WAYS } from './ways.ts';

let service: RunningService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

test.each<[Takes, string, readonly { of: readonly string[] }[]]>([
  ['name', 'WAYS', WAYS],
  ['labels', 'WAYS', WAYS],
  ['typed', 'RENAMINGS', RENAMINGS],
])('every route that takes a %s is tried here', (takes, list, tried) => {
  const missing = rows((route) => route.takes.includes(takes))
    .map(([title]) => title)
    .filter((title) => !tried.some(({ of }) => of.includes(title)));
  expect(missing.map((title) => `${title} is not tried: add how it takes a ${takes} to ${list} in ways.ts.`)).toEqual(
    [],
  );
});

describe.each(WAYS.map((way) => [way.title, way] as const))('%s', (_, way) => {
  test.each(NAMES)('takes $title, and says what it took', async ({ sent, taken, inForms = taken }) => {
    const kept = way.asBrowsersWrite ? inForms : taken;
    const { answer, told } = await way.send(service.url, { bytes: freshBytes(), filename: sent });
    expect(answer.status, answer.body).toBeLessThan(400);
    const latest = await latestFile(service.url);
    expect({ told, kept: latest?.name }).toEqual({ told: kept, kept });
    await forget(service.url, latest);
  });

  test.each(NO_NAMES)('takes the bytes of %j, a name of which nothing is left', async (filename) => {
    const bytes = freshBytes();
    const { answer, told } = await way.send(service.url, { bytes, filename });
    expect(answer.status, answer.body).toBeLessThan(400);
    const kept = way.unnamed(bytes);
    const latest = await latestFile(service.url);
    expect({ told, kept: latest?.name }).toEqual({ told: kept, kept });
    await forget(service.url, latest);
  });

  const absent = way.labels.flatMap((label) => ABSENT[label].map((value) => [label, value] as const));
  test.each(absent)('counts the %s %j as not given', async (label, value) => {
    const sending = { bytes: freshBytes(), filename: 'a.parquet.md', [label]: value };
    const { answer, told } = await way.send(service.url, sending);
    expect(answer.status, answer.body).toBeLessThan(400);
    expect(told).toBe('a.parquet.md');
    const latest = await latestFile(service.url);
    expect(latest).toMatchObject({ name: 'a.parquet.md', type: 'text/markdown' });
    await forget(service.url, latest);
  });

  const wrong = way.labels.flatMap((label) =>
    label === 'filetype' ? [] : malformed(label).map((value) => [label, value] as const),
  );
  test.each(wrong)('refuses the %s %j, which could not be compared', async (label, value) => {
    const bytes = freshBytes();
    const { answer } = await way.send(service.url, { bytes, filename: 'refused.txt', [label]: value });
    expect([answer.status, answer.code, json<{ error: { field: string } }>(answer).error.field]).toEqual([
      400,
      'invalid_field',
      label,
    ]);
    expect((await latestFile(service.url))?.name).not.toBe('refused.txt');
  });
});

test.each(UNREADABLE_METADATA)(
  'POST /uploads refuses the Upload-Metadata %j, of which nothing is known',
  async (value) => {
    const headers = { ...TUS, 'Upload-Length': '1', 'Upload-Metadata': value };
    const answer = await ask(service.url, { method: 'POST', path: '/uploads', headers });
    expect([answer.status, answer.code]).toEqual([400, 'invalid_metadata']);
  },
);

describe.each(RENAMINGS.map((renaming, index) => [renaming.of[0] ?? '', index, renaming] as const))(
  '%s, way %i by which a person names a file,',
  (_title, _index, { field, isPlain, rename }) => {
    /** What is taken as it is, and what is not: the same rule as for names beside bytes, without cleaning. */
    const typed = [
      ...NAMES.map(({ sent, taken }) => ({ name: sent, isTaken: sent === taken && !(isPlain && sent.includes('/')) })),
      ...NO_NAMES.map((name) => ({ name, isTaken: false })),
    ];
    test.each(typed.filter(({ isTaken }) => isTaken))('takes $name', async ({ name }) => {
      const thing = await makeNamed(service.url, {}, ({ fileId }) => fileId);
      const { answer, told } = await rename(service.url, thing, name);
      expect([answer.status, told], answer.body).toEqual([200, name]);
      const kept = json<FileJson>(await send('GET', `${service.url}/api/files/${thing.fileId}`)).name;
      expect(kept).toBe(name);
      await forget(service.url, { id: thing.fileId });
    });

    test.each(typed.filter(({ isTaken }) => !isTaken))(
      'refuses $name, and the file keeps its name',
      async ({ name }) => {
        const thing = await makeNamed(service.url, {}, ({ fileId }) => fileId);
        const { answer } = await rename(service.url, thing, name);
        expect([answer.status, answer.code, json<{ error: { field: string } }>(answer).error.field]).toEqual([
          400,
          'invalid_field',
          field,
        ]);
        const kept = json<FileJson>(await send('GET', `${service.url}/api/files/${thing.fileId}`)).name;
        expect(kept).toBe(thing.name);
      },
    );
  },
);
