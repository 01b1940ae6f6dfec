/** The client as a real process, for tests. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, utimes, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { openLine } from '../harness/proxy.ts';
import type { Line, LineOptions } from '../harness/proxy.ts';
import { makeBytes } from '../harness/bytes.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

const MAIN = fileURLToPath(new URL('../../client/cli/main.js', import.meta.url));
export const MIB = 1024 * 1024;

export interface Result {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  /** Each line of stdout, parsed. */
  records(): UploadRecord[];
}

/** What `--json` prints; which fields are there depends on the command. */
export interface UploadRecord {
  path: string;
  status: string;
  id: string;
  url: string;
  name: string;
  md5: string;
  size: number;
  sentBytes: number;
  resumedFrom: number;
  receivedBytes: number;
  error: { code: string; message: string };
}

export interface Running {
  signal(name: NodeJS.Signals): void;
  stdin: NodeJS.WritableStream;
  /** Its reader goes away. */
  closeStdout(): void;
  /** Resolves once stderr holds this. */
  said(text: string): Promise<void>;
  /** Resolves once stdout holds this. */
  wrote(text: string): Promise<void>;
  done: Promise<Result>;
}

export interface StartOptions {
  env?: NodeJS.ProcessEnv;
  stdinOpen?: boolean;
  /** From the command line for a shell to the program to run it with, and its arguments. */
  inShell?: (commandLine: string) => string[];
}

export interface Client {
  /** Working folder, home, cache and journal of this client. */
  folder: string;
  /** Starts it; its standard input is empty unless it is kept open. */
  start(args: string[], options?: StartOptions): Running;
  run(args: string[], env?: NodeJS.ProcessEnv): Promise<Result>;
  /** Makes a file in the folder, of bytes no other file has; old enough for its digests to be remembered. */
  makeFile(name: string, bytes: Uint8Array | number): Promise<string>;
}

function quote(argument: string): string {
  return `'${argument.replaceAll("'", `'\\''`)}'`;
}

let madeFiles = 0;

/** A client with a folder of its own that talks to `serverUrl`. */
export async function makeClient(serverUrl: string): Promise<Client> {
  const folder = await makeTempFolder();

  function start(args: string[], options: StartOptions = {}): Running {
    const command = [process.execPath, '--enable-source-maps', MAIN, ...args];
    // `exec`: no shell in between that would have an opinion of its own on Ctrl-C.
    if (options.inShell !== undefined)
      command.splice(0, Infinity, ...options.inShell(`exec ${command.map(quote).join(' ')}`));
    const [program = '', ...rest] = command;
    const child = spawn(program, rest, {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: folder, TIDEMARK_SERVER: serverUrl, ...options.env },
      stdio: 'pipe',
    });
    onTestFinished(() => {
      child.kill('SIGKILL');
    });
    if (options.stdinOpen !== true) child.stdin.end();
    child.stdin.on('error', () => {});
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      child.emit('said');
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      child.emit('said');
    });
    const closed = once(child, 'close') as Promise<[number | null]>;
    const done = closed.then(([exitCode]) => ({
      exitCode,
      stdout,
      stderr,
      records: () =>
        stdout
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as UploadRecord),
    }));
    async function untilIn(output: () => string, text: string): Promise<void> {
      while (!output().includes(text)) {
        if (child.exitCode !== null || child.signalCode !== null) {
          throw new Error(`it never said “${text}”: ${output()}`);
        }
        await Promise.race([once(child, 'said'), closed]);
      }
    }

    return {
      signal: (name) => {
        child.kill(name);
      },
      stdin: child.stdin,
      closeStdout: () => {
        child.stdout.destroy();
      },
      said: (text) => untilIn(() => stderr, text),
      wrote: (text) => untilIn(() => stdout, text),
      done,
    };
  }

  async function makeFile(name: string, bytes: Uint8Array | number): Promise<string> {
    const path = join(folder, name);
    madeFiles += 1;
    await writeFile(path, typeof bytes === 'number' ? makeBytes(bytes, 1000 + madeFiles) : bytes);
    const earlier = Date.now() / 1000 - 60.5;
    await utimes(path, earlier, earlier);
    return path;
  }

  return { folder, start, run: (args, env) => start(args, env ? { env } : {}).done, makeFile };
}

/** Resolves once digests of the file are remembered: when its last change lies behind its file system's clock. */
export async function settled(path: string): Promise<void> {
  const { ctimeMs } = await stat(path);
  await until(() => Date.now() - ctimeMs > 150);
}

/** A proxy in front of the service of the running test. */
export async function makeLine(toPort: number, speed?: number | Omit<LineOptions, 'toPort'>): Promise<Line> {
  const options = typeof speed === 'number' ? { bytesPerSecond: speed } : speed;
  const line = await openLine({ toPort, ...options });
  onTestFinished(() => line.close());
  return line;
}

/** Less than a test may take, so that it fails with what it waited for. */
const MOST_WAIT_MS = 120_000;

/** Resolves once the condition holds. @throws Error with the condition where it does not. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + MOST_WAIT_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${MOST_WAIT_MS / 1000} s: ${String(holds)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What an interceptor does to a request: answers in the service's place, or lets it pass and interferes with its answer. */
export type Interception =
  | { status: number; body?: unknown }
  | { answer: 'lost' }
  | { answerAfterMs: number }
  /** The answer without these headers. */
  | { without: readonly string[] }
  /** Other headers, and the connection cut after so many bytes. */
  | { cutAfterBytes: number; headers: Record<string, string> };

/** An HTTP proxy in front of a service that may interfere. */
export async function makeInterceptor(
  serviceUrl: string,
  intercept: (message: IncomingMessage) => Interception | null,
): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const instead = intercept(incoming);
    if (instead && 'status' in instead) {
      const body = instead.body === undefined ? '' : JSON.stringify(instead.body);
      outgoing.writeHead(instead.status, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(body),
        Connection: 'close',
      });
      outgoing.flushHeaders();
      outgoing.write(body);
      // A connection that is closed while the client still sends may cost it the answer.
      incoming.resume().once('close', () => outgoing.end());
      return;
    }
    const url = new URL(incoming.url ?? '/', serviceUrl);
    const onward = request(url, { method: incoming.method ?? 'GET', headers: incoming.headers }, (answer) => {
      if (instead && 'answer' in instead) {
        outgoing.destroy();
        return;
      }
      if (instead && 'cutAfterBytes' in instead) {
        outgoing.writeHead(answer.statusCode ?? 502, { ...answer.headers, ...instead.headers });
        passSome(answer, outgoing, instead.cutAfterBytes).catch(() => outgoing.destroy());
        return;
      }
      const pass = (): void => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      };
      if (instead && 'without' in instead) for (const name of instead.without) delete answer.headers[name];
      if (instead && 'answerAfterMs' in instead) setTimeout(pass, instead.answerAfterMs);
      else pass();
    });
    onward.on('error', () => outgoing.destroy());
    incoming.on('error', () => onward.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function passSome(answer: IncomingMessage, outgoing: ServerResponse, bytes: number): Promise<void> {
  let passed = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    await new Promise<void>((resolve) => {
      outgoing.write(chunk, () => resolve());
    });
    passed += chunk.length;
    if (passed >= bytes || outgoing.destroyed) break;
  }
  outgoing.destroy();
}
