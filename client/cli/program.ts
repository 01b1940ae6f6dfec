/** The command line: parses it, runs the command, and prints the help. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { COMMANDS, type Defaults, type Frame } from './command-list.ts';
import { type MoveFlags, runMove } from './commands/admin.ts';
import { runDoctor } from './commands/doctor.ts';
import { createContext } from './context.ts';
import { EXIT } from './errors.ts';
import { printable } from './format.ts';
import { translateOlderSpelling } from './older-spelling.ts';

export interface Run {
  signal: AbortSignal;
  againCommand: string;
}

const EXIT_CODES = `
Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.`;

const ENVIRONMENT = `
<file> is an id, an MD5, an address of the file, or its name where only one file has it.
The service is, in this order: --server, TIDEMARK_SERVER, http://HOST:HTTP_PORT from
the environment or .env in this folder, http://127.0.0.1:8080.
The token is TIDEMARK_TOKEN; --token works too, but shows in lists of processes.
${EXIT_CODES}`;

/**
 * Runs the command line. Prints what is wrong with the command line itself.
 *
 * @returns the exit code.
 * @throws the errors of the command.
 */
export async function runProgram(args: readonly string[], run: Run): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = createProgram(run, (code) => {
    exitCode = code;
  });
  const names = program.commands.map((command) => command.name());
  const translated = translateOlderSpelling(args, names);
  const [first = ''] = translated;
  try {
    // Checked here: with --help after an unknown command, the parser would print the general help and exit with 0.
    if (/^[^-]/.test(first) && first !== 'help' && !names.includes(first)) {
      program.error(`error: unknown command '${printable(first)}'`);
    }
    await program.parseAsync(translated, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  }
  return exitCode;
}

function createProgram(run: Run, setExitCode: (code: number) => void): Command {
  const program = new Command('tidemark')
    .description('Uploads files over unreliable connections: resumable, verified, never sent twice.')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', ENVIRONMENT)
    .showHelpAfterError('(--help says more)')
    // The message about a misspelt --token=… must not show its value.
    .configureOutput({ outputError: (text, write) => write(text.replaceAll(/(--?[\w-]+)=[^'\s]*/g, '$1=…')) })
    .exitOverride();

  const frame: Frame = {
    command: (usage, description, defaults) =>
      addCommonFlags(program.command(usage).description(description), defaults),
    contextOf: (flags, defaults) => createContext(flags, run, defaults),
    setExitCode,
  };
  for (const add of COMMANDS) add(frame);
  addServerCommands(program, run, setExitCode);
  return program;
}

/** Adds the commands that run on the machine of a service, with the service's own settings. */
function addServerCommands(program: Command, run: Run, setExitCode: (code: number) => void): void {
  program
    .command('doctor')
    .description("check the service's own settings, store, catalog and folder, from its .env or environment")
    .option('--json', 'one JSON object per line on stdout')
    .addHelpText('after', EXIT_CODES)
    .action(async ({ json = false }: { json?: boolean }) => setExitCode(await runDoctor({ json }, run.signal)));
  program
    .command('admin')
    .description('what an administrator does to a service that is stopped')
    .command('move')
    .description('copy catalog and bytes to another database and store, verify them, and change nothing here')
    .option('--to-env <file>', "the new service's settings, as its .env has them")
    .option('--to-database <url>', 'its DATABASE_URL; a password shows in lists of processes')
    .option('--to-database-file <file>', 'a file that has its DATABASE_URL')
    .addOption(new Option('--to-store <store>', 'its STORE').choices(['local', 'ceph', 'oss', 's3']))
    .option('--strict', 'do not come to the end where a content is damaged')
    .option('--sizes-only', 'of contents that stay in their store, look at the sizes alone')
    .addHelpText('after', EXIT_CODES.replace('130', '78 refused, 130'))
    .action(async (flags: MoveFlags) => setExitCode(await runMove(flags, run.signal)));
}

function addCommonFlags(command: Command, { retryFor }: Defaults): Command {
  return command
    .option('-s, --server <address>', 'the service: HOST:PORT or a URL')
    .option('--token <token>', 'the token (better: TIDEMARK_TOKEN)')
    .option('--json', 'one JSON object per line on stdout')
    .option('-q, --quiet', 'print results and errors only')
    .option('--retry-for <time>', `how long to retry without progress (default: ${retryFor})`)
    .addOption(
      new Option('--stall-timeout <time>', 'close a connection on which nothing moves for so long').default('30s'),
    )
    .addHelpText('after', EXIT_CODES);
}

function readVersion(): string {
  // package.json is beside dist/, also in the package.
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
