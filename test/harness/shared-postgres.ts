/**
 * The PostgreSQL that all files of a test run share. The first file that needs it starts it; each test gets a database of its
 * own. Vitest loads this before all tests, to set the folder of the server, and stops the server after them.
 * A test that kills the server starts one of its own.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { PASSWORD, startPostgres, stopPostgres, SUPERUSER } from './postgres.ts';
import { quickFolder } from './quick-folder.ts';

const FOLDER = 'TIDEMARK_TEST_POSTGRES_FOLDER';
const OWNER = 'TIDEMARK_TEST_POSTGRES_OWNER';
const STARTED_WITHIN_MS = 60_000;

export interface TestDatabase {
  readonly name: string;
  readonly port: number;
  /** For DATABASE_URL of a service. */
  readonly url: string;
  /** Runs statements. @returns the rows, where it is only one statement. */
  run<Row extends object>(statement: string): Promise<Row[]>;
  /** Closes its connections, and removes it. */
  drop(): Promise<void>;
}

/** A new, empty database in the PostgreSQL of this test run. */
export async function createDatabase(options = ''): Promise<TestDatabase> {
  return createDatabaseOf(await sharedPort(), options);
}

/** Creates an empty database on the server of this port. @param options - of CREATE DATABASE. */
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

/** The port of this run's server. The process that creates its folder starts it; the others wait for that. */
export async function sharedPort(): Promise<number> {
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
  throw new Error('another process began to start the PostgreSQL of this run, but it did not come up');
}

/** Called by Vitest. The processes of the test files inherit its environment. */
export function setup(): () => Promise<void> {
  const folder = join(quickFolder(), `tidemark-pg-${randomUUID().slice(0, 8)}`);
  process.env[FOLDER] = folder;
  process.env[OWNER] = String(process.pid);
  return async () => {
    if (existsSync(folder)) await stopPostgres(folder);
  };
}
