/**
 * A catalog in a process of its own, which a test may kill. Started as a program
 * it opens the catalog that it is given the path of, and calls what it is told to.
 */
import { fork } from 'node:child_process';
import type { ChildProcess, ForkOptions } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Catalog } from '../../server/catalog/catalog.ts';
import { openSqliteCatalog } from '../../server/catalog/sqlite/open.ts';

type Method = Exclude<keyof Catalog, 'isShared' | 'clock' | 'rows'>;
type Call = { call: number; method: Method; args: unknown[] };
type Reply = { call: number; result?: unknown; code?: string; message?: string };

/** The number of the opening, which the child makes without being told. */
const OPENING = 0;

/** What a call in the other process was refused with. */
export class RemoteError extends Error {
  readonly code: string | undefined;

  constructor({ code, message }: Reply) {
    super(message);
    this.code = code;
  }
}

export interface CatalogProcess {
  readonly pid: number;
  /** Resolves when the catalog is open there. */
  opened: Promise<void>;
  /** Rejects when the call does there, and when the process ends before it answers. */
  call<M extends Method>(method: M, ...args: Parameters<Catalog[M]>): Promise<Awaited<ReturnType<Catalog[M]>>>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
}

/** Starts a process with the catalog in `file`; `options` may run it as another user or under a tracer. */
export function startCatalogProcess(file: string, options: ForkOptions = {}): CatalogProcess {
  const child = fork(fileURLToPath(import.meta.url), [file], { ...options, serialization: 'advanced' });
  const waiting = new Map<number, (reply: Reply) => void>();
  let calls = OPENING;

  child.on('message', (reply: Reply) => {
    waiting.get(reply.call)?.(reply);
    waiting.delete(reply.call);
  });
  child.on('exit', () => {
    for (const [call, answer] of waiting) answer({ call, code: 'ended', message: 'the process ended' });
  });

  function answerTo(call: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      waiting.set(call, (reply) => {
        if (reply.message === undefined) resolve(reply.result);
        else reject(new RemoteError(reply));
      });
    });
  }

  // Under a tracer the child is the tracer, and its own death would set the catalog's process free.
  let pid = child.pid;
  const opened = answerTo(OPENING).then((own) => {
    pid = own as number;
  });

  return {
    pid: child.pid ?? -1,
    opened,
    call(method, ...args) {
      const call = ++calls;
      const answer = answerTo(call);
      child.send({ call, method, args } satisfies Call, (error) => {
        if (error) waiting.get(call)?.({ call, code: 'ended', message: 'the process has ended' });
      });
      return answer as ReturnType<CatalogProcess['call']> as never;
    },
    kill: () => end(child, pid),
  };
}

async function end(child: ChildProcess, pid: number | undefined): Promise<void> {
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  process.kill(pid, 'SIGKILL');
  await gone;
}

async function serve(file: string): Promise<void> {
  const reply = (message: Reply) => process.send?.(message);
  const refuse = (call: number, error: unknown) => {
    const { code, message } = error as RemoteError;
    reply({ call, ...(code !== undefined && { code }), message });
  };

  let catalog: Catalog;
  try {
    catalog = await openSqliteCatalog({ file });
  } catch (error) {
    refuse(OPENING, error);
    process.disconnect();
    return;
  }

  process.on('message', ({ call, method, args }: Call) => {
    const run = catalog[method] as (...args: unknown[]) => Promise<unknown>;
    run(...args).then(
      (result) => reply({ call, result }),
      (error: unknown) => refuse(call, error),
    );
  });
  // Without the test there is nothing left to do.
  process.on('disconnect', () => process.exit());
  reply({ call: OPENING, result: process.pid });
}

const [, program, file] = process.argv;
if (program === fileURLToPath(import.meta.url) && file !== undefined) await serve(file);
