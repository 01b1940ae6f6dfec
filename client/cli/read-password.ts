/** Reads a password: from a file, or from the terminal, which does not show it. Never from the command line, which others see. */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { describeError, InterruptedError, UsageError } from './errors.ts';

/** The first line of a file. @throws UsageError where it cannot be read, or is empty. */
export async function readPasswordFile(path: string, option: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${option}: ${describeError(error)}.`);
  }
  const [line = ''] = text.replace(/^\ufeff/, '').split(/\r?\n/, 1);
  if (line === '') throw new UsageError(`${option}: the file ${path} has no password in its first line.`);
  return line;
}

/** Whether there is a terminal to ask at. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Asks at the terminal. @throws InterruptedError when the user leaves with Ctrl-C or Ctrl-D. */
export function askPassword(question: string): Promise<string> {
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  process.stderr.write(question);
  return new Promise((resolve, reject) => {
    let answer: string | undefined;
    lines.once('line', (line) => {
      answer = line;
      lines.close();
    });
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => {
      process.stderr.write('\n');
      if (answer === undefined) reject(new InterruptedError());
      else resolve(answer);
    });
  });
}
