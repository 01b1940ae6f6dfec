/** The command line: commands, flags, help. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import type { FileSortJson } from '../../server/wire/files.ts';
import { runDelete, runInfo, runList, runRename } from './commands/catalog.ts';
import { runCheck } from './commands/check.ts';
import { runDoctor } from './commands/doctor.ts';
import { runGet } from './commands/get.ts';
import { runUpload } from './commands/upload.ts';
import { createContext } from './context.ts';
import type { CommonFlags, Context } from './context.ts';
import { EXIT } from './errors.ts';
import { parseCount, parseSize, printable } from './format.ts';
import { translateOlderSpelling } from './older-spelling.ts';

export interface Run {
  signal: AbortSignal;
  againCommand: string;
}

/** A transfer is worth a long wait; a question is not. */
const PATIENT = { retryFor: '10m' };
const BRISK = { retryFor: '20s' };

const EXIT_CODES = `
Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.`;

const ENVIRONMENT = `
<file> is an id, an MD5, an address of the file, or its name where only one file has it.
The service is, in this order: --server, TIDEMARK_SERVER, http://HOST:HTTP_PORT from
the environment or .env in this folder, http://127.0.0.1:8080.
The token is TIDEMARK_TOKEN; --token works too, but shows in lists of processes.
${EXIT_CODES}`;

/** Runs the command line; the exit code. Errors of a command are thrown, those of the command line are told here. */
export async function runProgram(args: readonly string[], run: Run): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = createProgram(run, (code) => {
    exitCode = code;
  });
  const names = program.commands.map((command) => command.name());
  const translated = translateOlderSpelling(args, names);
  const [first = ''] = translated;
  try {
    // With --help behind it the parser would print the help of the whole, and call it well done.
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
    .description('Uploads files over lines that break: resumable, verified, never sent twice.')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', ENVIRONMENT)
    .showHelpAfterError('(--help says more)')
    // A misspelt --token=… must not come back with its value.
    .configureOutput({ outputError: (text, write) => write(text.replaceAll(/(--?[\w-]+)=[^'\s]*/g, '$1=…')) })
    .exitOverride();

  /** A command with the flags that all have, and with its context made from them. */
  function command(usage: string, description: string, defaults: { retryFor: string }): Command {
    return program
      .command(usage)
      .description(description)
      .option('-s, --server <address>', 'the service: HOST:PORT or a URL')
      .option('--token <token>', 'who we are (better: TIDEMARK_TOKEN)')
      .option('--json', 'one JSON object per line on stdout')
      .option('-q, --quiet', 'print results and errors only')
      .option('--retry-for <time>', `keep trying so long without progress (default: ${defaults.retryFor})`)
      .addOption(new Option('--stall-timeout <time>', 'give a silent connection up after so long').default('30s'))
      .addHelpText('after', EXIT_CODES);
  }

  function contextOf(flags: CommonFlags, defaults: { retryFor: string }): Context {
    return createContext(flags, run, defaults);
  }

  command('upload <path...>', 'upload files; - is standard input', PATIENT)
    .option('-r, --recursive', 'upload what is in folders')
    .option('-p, --parallel <n>', 'files at once', '3')
    .option('--chunk-size <size>', 'most bytes in one request (all that is left; standard input: 8MiB)')
    .option('-n, --name <name>', 'the name it gets; needed for standard input')
    .action(async (paths: string[], flags: UploadFlags) => {
      const options = {
        recursive: flags.recursive === true,
        parallel: parseCount(flags.parallel, '--parallel'),
        chunkSizeBytes: flags.chunkSize === undefined ? null : parseSize(flags.chunkSize, '--chunk-size'),
        name: flags.name,
      };
      setExitCode(await runUpload(paths, options, contextOf(flags, PATIENT)));
    });

  command('check <path...>', 'ask whether the service has the content of files', BRISK).action(
    async (paths: string[], flags: CommonFlags) => setExitCode(await runCheck(paths, contextOf(flags, BRISK))),
  );

  command('list', 'list the files', BRISK)
    .option('--search <text>', 'only files with this in their name')
    .addOption(new Option('--sort <key>', 'sort by').choices(['uploaded', 'name', 'size']).default('uploaded'))
    .addOption(new Option('--order <order>', 'asc or desc').choices(['asc', 'desc']))
    .option('--limit <n>', 'most files to list', '50')
    .action(async (flags: ListFlags) => {
      const { search, sort, order } = flags;
      const options = { search, sort, order, limit: parseCount(flags.limit, '--limit') };
      setExitCode(await runList(options, contextOf(flags, BRISK)));
    });

  command('info <file>', 'print all that is known of a file', BRISK).action(async (file: string, flags: CommonFlags) =>
    setExitCode(await runInfo(file, contextOf(flags, BRISK))),
  );

  command('get <file>', 'download a file and verify it', PATIENT)
    .option('-o, --output <path>', 'where to: a file, a folder, or - for standard output')
    .option('-f, --force', 'replace a file that is there')
    .action(async (file: string, flags: GetFlags) => {
      const options = { output: flags.output, force: flags.force === true };
      setExitCode(await runGet(file, options, contextOf(flags, PATIENT)));
    });

  command('rename <file> <name>', 'give a file another name', BRISK).action(
    async (file: string, name: string, flags: CommonFlags) =>
      setExitCode(await runRename(file, name, contextOf(flags, BRISK))),
  );

  command('delete <file...>', 'delete files', BRISK).action(async (files: string[], flags: CommonFlags) =>
    setExitCode(await runDelete(files, contextOf(flags, BRISK))),
  );

  program
    .command('doctor')
    .description("check the service's own settings, store, catalog and folder, from its .env or environment")
    .option('--json', 'one JSON object per line on stdout')
    .addHelpText('after', EXIT_CODES)
    .action(async ({ json = false }: { json?: boolean }) => setExitCode(await runDoctor({ json }, run.signal)));

  return program;
}

interface UploadFlags extends CommonFlags {
  recursive?: boolean;
  parallel: string;
  chunkSize?: string;
  name?: string;
}

interface ListFlags extends CommonFlags {
  search?: string;
  sort: FileSortJson;
  order?: 'asc' | 'desc';
  limit: string;
}

interface GetFlags extends CommonFlags {
  output?: string;
  force?: boolean;
}

function readVersion(): string {
  // Beside dist/, in the sources as in the package.
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
