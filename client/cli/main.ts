#!/usr/bin/env node
/** Entry of the command `tidemark`: signals, the one place where errors end, the exit code. */
import { setMaxListeners } from 'node:events';
import { EXIT, InterruptedError, UsageError, describeError } from './errors.ts';
import { printable, shellQuote } from './format.ts';
import { flushOutput, stdoutFailure } from './output.ts';
import { showable } from './plain-text.ts';
import { runProgram } from './program.ts';

/** This very command line again, for the eyes: without the token. */
function againCommand(args: readonly string[]): string {
  const shown: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const argument = args[at] as string;
    if (argument === '--token') at += 1;
    else if (!argument.startsWith('--token=')) shown.push(shellQuote(printable(argument)));
  }
  const missing = args.some((argument) => /^--token(=|$)/.test(argument)) ? '   (with TIDEMARK_TOKEN set)' : '';
  // Run by npx, it may be found by npx alone.
  const runner = process.env['npm_command'] === 'exec' ? 'npx ' : '';
  return `${runner}tidemark ${shown.join(' ')}${missing}`;
}

function complain(text: string): void {
  process.stderr.write(`tidemark: ${showable(printable(text))}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  const interruption = new AbortController();
  // Every transfer listens to it.
  setMaxListeners(0, interruption.signal);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // The second time: at once, whatever is under way.
      if (interruption.signal.aborted) process.exit(EXIT.interrupted);
      interruption.abort(new InterruptedError());
    });
  }
  try {
    return await runProgram(args, { signal: interruption.signal, againCommand: againCommand(args) });
  } catch (error) {
    if (interruption.signal.aborted) {
      complain('Interrupted.');
      return EXIT.interrupted;
    }
    complain(describeError(error));
    if (process.env['TIDEMARK_DEBUG'] === '1' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return error instanceof UsageError ? EXIT.usage : EXIT.failed;
  }
}

// The net below all that is caught where it belongs: even then a sentence, not a stack.
process.on('uncaughtException', (error) => {
  complain(describeError(error));
  if (process.env['TIDEMARK_DEBUG'] === '1') process.stderr.write(`${error.stack}\n`);
  process.exit(EXIT.failed);
});

let exitCode = await main(process.argv.slice(2));
await flushOutput();
const unwritten = stdoutFailure();
if (unwritten !== null && exitCode === EXIT.done) {
  complain(`standard output: ${describeError(unwritten)}`);
  exitCode = EXIT.failed;
}
// Kept connections and an idle standard input would hold the process.
process.exit(exitCode);
