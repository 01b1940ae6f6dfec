/** How many statements an upload costs a catalog in PostgreSQL, BEGIN and COMMIT among them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { hasPostgres } from '../harness/postgres.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { createDatabase, type TestDatabase, urlOf } from '../harness/shared-postgres.ts';
import { openStatementWire, type StatementWire } from '../harness/statement-wire.ts';
import { createUpload, encodeMetadata, patch, send, TUS } from '../harness/tus.ts';

/** What a node asks for by itself, now and then. */
const IN_THE_BACKGROUND =
  /"nodes"|"links"|"trash"|"claims"|"asks"|"number" is null|number_events|^select.*("events"|removals)|"expires_at" <=|"store_state" is not null|"phase" is|ended_at|final_partials|"uploads" where "id" in/;
/** Noted now and then while bytes flow, however many. */
const NOTE_ARRIVAL = /^update uploads set last_byte_at/;
/** What others are woken by; several wakes may share one. */
const NOTICE = /^select pg_notify/;
const COMMIT_OFFSET = /^update "uploads" set "offset"/;

describe.skipIf(!hasPostgres())('an upload to a service on PostgreSQL', () => {
  let database: TestDatabase;
  let wire: StatementWire;
  let service: RunningService;

  beforeEach(async () => {
    database = await createDatabase();
    wire = await openStatementWire(database.port);
    service = await startService({ env: { DATABASE_URL: urlOf(wire.port, database.name) } });
  });

  afterEach(async () => {
    await service.stop();
    await wire.close();
    await database.drop();
  });

  /** The statements that `run` costs. */
  async function costOf(run: () => Promise<void>): Promise<string[]> {
    const before = wire.transactions.length;
    await run();
    const ours = wire.transactions
      .slice(before)
      .filter((transaction) => !transaction.some((statement) => IN_THE_BACKGROUND.test(statement)));
    return ours.flat().filter((statement) => !NOTE_ARRIVAL.test(statement));
  }

  const small = (seed: number) => async (): Promise<void> => {
    const answer = await send('POST', `${service.url}/uploads`, {
      headers: {
        ...TUS,
        'Upload-Length': '10240',
        'Upload-Metadata': encodeMetadata({ filename: `${seed}.bin` }),
        'Content-Type': 'application/offset+octet-stream',
      },
      body: makeBytes(10_240, seed),
    });
    expect(answer.status).toBe(201);
    expect(answer.headers['upload-offset']).toBe('10240');
  };

  const inTwo = (seed: number, length: number) => async (): Promise<void> => {
    const location = await createUpload(service.url, length, { filename: `${seed}.bin` });
    expect((await patch(location, 0, makeBytes(length, seed))).status).toBe(204);
  };

  test('costs at most 6 for a small file in one request, and as many however large it is', async () => {
    for (const seed of [1, 2]) {
      const statements = await costOf(small(seed));
      expect(statements.length, statements.join('\n')).toBeLessThanOrEqual(6);
    }
    const few = await costOf(inTwo(3, 10_240));
    expect(few.length, few.join('\n')).toBeLessThanOrEqual(10);
    const many = await costOf(inTwo(4, 48 * 1024 * 1024));
    const others = (statements: string[]): string[] =>
      statements.filter((statement) => !COMMIT_OFFSET.test(statement) && !NOTICE.test(statement));
    expect(others(many)).toEqual(others(few));
  });
});
