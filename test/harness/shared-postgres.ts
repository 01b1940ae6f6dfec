/**
 * The one PostgreSQL of a test run. The first file that needs it starts it; each test gets a database of its own.
 * Vitest loads this before all tests, to say where the processes of the run meet, and to end it after them.
 * A test that kills the server starts one of its own.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { PASSWORD, startPostgres, stopPostgres, SUPERUSER } from './postgres.ts';

const FOLDER = 'TIDEMARK_TEST_POSTGRES_FOLDER';
const OWNER = 'TIDEMARK_TEST_POSTGRES_OWNER';
const STARTED_WITHIN_MS = 60_000;

export interface TestDatabase {
  readonly name: string;
  readonly port: number;
  /** By which a service opens it. */
  readonly url: string;
  /** The rows of one statement, or nothing of several. */
  run<Row extends object>(statement: string): Promise<Row[]>;
  /** Ends who uses it, and removes it. */
  drop(): Promise<void>;
}

/** A new, empty database in the PostgreSQL of this test run. */
export async function createDatabase(options = ''): Promise<TestDatabase> {
  return createDatabaseOf(await sharedPort(), options);
}

/** A new, empty database of the server on this port. @param options - of CREATE DATABASE. */
export async function createDatabaseOf(port: number, options = ''): Promise<TestDatabase> {
  const name = `tidemark_${randomUUID().replaceAll('-', '')}`;
  await runOn(urlOf(port, 'postgres'), `create database ${name} ${options}`);
  return {
    name,
    port,
    url: urlOf(port, name),
    run: (statement) => runOn(urlOf(port, name), statement),
    drop: async () => {
      await runOn(urlOf(port, 'postgres'), `drop database if exists ${name} with (force)`);
    },
  };
}

/** The address of a database, for the superuser. */
export function urlOf(port: number, database: string): string {
  return `postgres://${SUPERUSER}:${PASSWORD}@127.0.0.1:${port}/${database}`;
}

async function runOn<Row extends object>(url: string, statement: string): Promise<Row[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** Where the one of this run listens. Whoever makes its folder starts it; the others wait for that. */
async function sharedPort(): Promise<number> {
  const folder = process.env[FOLDER];
  if (folder === undefined) throw new Error(`no test run: ${FOLDER} is not set`);
  const isFirst = await mkdir(folder, { mode: 0o700 }).then(
    () => true,
    () => false,
  );
  const ready = join(folder, 'ready');
  if (isFirst) {
    const { port } = await startPostgres({ folder, ownerPid: Number(process.env[OWNER]) });
    await writeFile(`${ready}-soon`, String(port));
    await rename(`${ready}-soon`, ready);
    return port;
  }
  for (let waitedMs = 0; waitedMs < STARTED_WITHIN_MS; waitedMs += 50) {
    if (existsSync(ready)) return Number(await readFile(ready, 'utf8'));
    if (!existsSync(folder)) break;
    await sleep(50);
  }
  throw new Error('the PostgreSQL of this run was not started by whoever began to');
}

/** Called by Vitest. The processes of the test files inherit its environment. */
export function setup(): () => Promise<void> {
  const folder = join(tmpdir(), `tidemark-pg-${randomUUID().slice(0, 8)}`);
  process.env[FOLDER] = folder;
  process.env[OWNER] = String(process.pid);
  return async () => {
    if (existsSync(folder)) await stopPostgres(folder);
  };
}
