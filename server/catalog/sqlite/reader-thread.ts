/** The reader's thread: reads that may take long, checkpoints, and the index of names, on connections of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Statement } from 'better-sqlite3';
import { openBeside } from './connection.ts';
import { SqliteError } from './database.ts';
import { openNameIndex } from './name-index.ts';
import type { ReaderReply, ReaderRequest, ReaderSetup } from './reader-messages.ts';

const { file } = workerData as ReaderSetup;
const database = openBeside(file);
const names = openNameIndex(`${file}-names`, database, (told) => send({ told }));
/** Not by `pragma`, which would keep a statement of each call. */
const checkpoint = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');
/** By their text. There are few: lists are single parameters. */
const statements = new Map<string, Statement>();

function send(reply: ReaderReply): void {
  parentPort?.postMessage(reply);
}

function answer(request: ReaderRequest): unknown {
  switch (request.op) {
    case 'rows': {
      const { sql, parameters } = request;
      const statement = statements.get(sql) ?? database.prepare(sql);
      statements.set(sql, statement);
      return statement.all(parameters);
    }
    case 'names':
      return names.find(request.owner, request.part, request.most) ?? null;
    case 'checkpoint':
      return checkpoint.all();
    case 'close':
      try {
        names.close();
      } finally {
        database.close();
        parentPort?.close();
      }
      return undefined;
  }
}

parentPort?.on('message', (request: ReaderRequest) => {
  let reply: ReaderReply;
  try {
    reply = { number: request.number, value: answer(request) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    reply = {
      number: request.number,
      problem: { message, code: error instanceof SqliteError ? error.code : undefined },
    };
  }
  send(reply);
});
