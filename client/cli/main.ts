#!/usr/bin/env node
/** Entry of the command `tidemark`: handles signals, prints errors, and sets the exit code. */
import { setMaxListeners } from 'node:events';
import { EXIT, InterruptedError, UsageError, describeError } from './errors.ts';
import { printable, shellQuote } from './format.ts';
import { flushOutput, stdoutFailure } from './output.ts';
import { showable } from './plain-text.ts';
import { runProgram } from './program.ts';

/** This command line, to be shown as the way to continue: without the token. */
function againCommand(args: readonly string[]): string {
  const shown: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const argument = args[at] as string;
    if (argument === '--token') at += 1;
    else if (!argument.startsWith('--token=')) shown.push(shellQuote(printable(argument)));
  }
  const missing = args.some((argument) => /^--token(=|$)/.test(argument)) ? '   (with TIDEMARK_TOKEN set)' : '';
  // Where npx runs the command, the shell may not find it.
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
      // A second signal exits at once.
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

// Only for errors that nothing else has caught: prints a sentence, not a stack.
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
// Without this, idle connections and standard input would keep the process running.
process.exit(exitCode);
