/** Nodes wake each other: over a connection that is made anew, and without one only later. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Notices } from '../../server/catalog/notices.ts';
import { openPostgresNotices } from '../../server/catalog/postgres/notices.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { openLine } from '../harness/proxy.ts';
import { createDatabase, type TestDatabase, urlOf } from '../harness/shared-postgres.ts';
import { switchNotifyOff } from './support.ts';

describe.skipIf(!hasPostgres())('notices between nodes', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase();
  });

  afterAll(() => database.drop());

  interface Heard {
    notices: Notices;
    heard: string[];
    found: string[];
    gaps(): number;
  }

  function open(url = database.url): Heard {
    const found: string[] = [];
    const heard: string[] = [];
    let gaps = 0;
    const notices = openPostgresNotices({ url }, { tell: (sentence) => found.push(sentence) });
    notices.hear({ onNotice: (notice) => heard.push(notice), onGap: () => gaps++ });
    onTestFinished(() => notices.close());
    return { notices, heard, found, gaps: () => gaps };
  }

  test('reach all other nodes, each once, many with one statement', async () => {
    const [one, other] = [open(), open()];
    await expect.poll(() => one.gaps() + other.gaps()).toBe(2);
    const many = Array.from({ length: 900 }, (_, index) => `told upload-${index}`);
    for (const notice of [...many, ...many]) one.notices.send(notice);
    await expect.poll(() => other.heard.length).toBe(many.length);
    expect(other.heard).toEqual(many);
    one.notices.send('ask a release b', { urgent: true });
    await expect.poll(() => other.heard.at(-1)).toBe('ask a release b');
    one.notices.send('x'.repeat(2_000));
    one.notices.send('the last');
    await expect.poll(() => other.heard.at(-1)).toBe('the last');
    expect(one.heard).toEqual([]);
  });

  test('come again after the connection was ended, or has become half open', async () => {
    const line = await openLine({ toPort: database.port });
    onTestFinished(() => line.close());
    const [one, far] = [open(), open(urlOf(line.port, database.name))];
    await expect.poll(() => one.gaps() + far.gaps()).toBe(2);
    await database.run(`select pg_terminate_backend(pid) from pg_stat_activity
      where query like '%pg_notify%' and pid <> pg_backend_pid()`);
    await expect.poll(() => Math.min(one.gaps(), far.gaps())).toBe(2);
    line.freeze();
    line.thaw();
    await expect.poll(() => far.gaps(), { timeout: 20_000 }).toBe(3);
    one.notices.send('again');
    await expect.poll(() => far.heard).toContain('again');
    expect(far.found).toEqual([]);
  });

  test('that the database does not deliver are missed, and told of', async () => {
    const deaf = await createDatabase();
    onTestFinished(() => deaf.drop());
    await switchNotifyOff(deaf);
    const one = open(deaf.url);
    await expect.poll(() => one.found, { timeout: 15_000 }).toHaveLength(1);
    expect(one.found[0]).toContain('a pooler in transaction mode');
    expect(one.gaps()).toBe(0);
  });
});
