/** The commands that ask the service, with their flags. */
import { type Command, Option } from 'commander';
import type { FileSortJson } from '../../server/wire/files.ts';
import { MOST_STREAMS } from '../core/parts.ts';
import { runDelete, runInfo, runList, runRename } from './commands/catalog.ts';
import { runCheck } from './commands/check.ts';
import { runGet } from './commands/get.ts';
import { runGetArchive } from './commands/get-archive.ts';
import { runUpload } from './commands/upload.ts';
import type { CommonFlags, Context } from './context.ts';
import { UsageError } from './errors.ts';
import { parseCount, parseSize } from './format.ts';
import { parseStreams } from './streams.ts';

/** What `program.ts` hands to the commands. */
export interface Frame {
  /** Defines a command with the flags that all these commands have. */
  command: (usage: string, description: string, defaults: Defaults) => Command;
  contextOf: (flags: CommonFlags, defaults: Defaults) => Context;
  setExitCode: (code: number) => void;
}

export interface Defaults {
  retryFor: string;
}

/** A transfer is worth a long wait; a question is not. */
const PATIENT: Defaults = { retryFor: '10m' };
const BRISK: Defaults = { retryFor: '20s' };

/** In the order in which help lists them. */
export const COMMANDS: readonly ((frame: Frame) => void)[] = [
  addUpload,
  addCheck,
  addList,
  addInfo,
  addGet,
  addRename,
  addDelete,
];

function addUpload({ command, contextOf, setExitCode }: Frame): void {
  command('upload <path...>', 'upload files; - is standard input', PATIENT)
    .option('-r, --recursive', 'upload what is in folders')
    .option('-p, --parallel <n>', 'files at once', '3')
    .option('--chunk-size <size>', 'most bytes in one request (default: no limit; standard input: 8MiB)')
    .option('--streams <n>', `connections for each file, up to ${MOST_STREAMS}, or auto: as many as help`, '1')
    .option('-n, --name <name>', 'the name it gets; needed for standard input')
    .action(async (paths: string[], flags: UploadFlags) => {
      const options = {
        recursive: flags.recursive === true,
        parallel: parseCount(flags.parallel, '--parallel'),
        chunkSizeBytes: flags.chunkSize === undefined ? null : parseSize(flags.chunkSize, '--chunk-size'),
        streams: parseStreams(flags.streams, '--streams'),
        name: flags.name,
      };
      setExitCode(await runUpload(paths, options, contextOf(flags, PATIENT)));
    });
}

function addCheck({ command, contextOf, setExitCode }: Frame): void {
  command('check <path...>', 'ask whether the service has the content of files', BRISK).action(
    async (paths: string[], flags: CommonFlags) => setExitCode(await runCheck(paths, contextOf(flags, BRISK))),
  );
}

function addList({ command, contextOf, setExitCode }: Frame): void {
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
}

function addInfo({ command, contextOf, setExitCode }: Frame): void {
  command('info <file>', 'print all that is known of a file', BRISK).action(async (file: string, flags: CommonFlags) =>
    setExitCode(await runInfo(file, contextOf(flags, BRISK))),
  );
}

function addGet({ command, contextOf, setExitCode }: Frame): void {
  command('get <file...>', 'download a file and verify it', PATIENT)
    .option('-o, --output <path>', 'where to: a file, a folder, or - for standard output')
    .option('-f, --force', 'replace a file that is there')
    .option('--zip <path>', 'download the files as one ZIP file, to this path')
    .option('--streams <n>', `connections at once, up to ${MOST_STREAMS}, or auto: as many as help`, '1')
    .action(async (files: string[], flags: GetFlags) => {
      const streams = parseStreams(flags.streams, '--streams');
      const options = { output: flags.output, force: flags.force === true, streams };
      const context = contextOf(flags, PATIENT);
      if (flags.zip !== undefined) {
        if (flags.output !== undefined) throw new UsageError('--zip and --output do not go together.');
        if (streams !== 1) throw new UsageError('--streams does not go with --zip.');
        setExitCode(await runGetArchive(files, flags.zip, options, context));
        return;
      }
      const [file = '', ...more] = files;
      if (more.length > 0) throw new UsageError('Several files are downloaded as one ZIP file: --zip <path>.');
      setExitCode(await runGet(file, options, context));
    });
}

function addRename({ command, contextOf, setExitCode }: Frame): void {
  command('rename <file> <name>', 'give a file another name', BRISK).action(
    async (file: string, name: string, flags: CommonFlags) =>
      setExitCode(await runRename(file, name, contextOf(flags, BRISK))),
  );
}

function addDelete({ command, contextOf, setExitCode }: Frame): void {
  command('delete <file...>', 'delete files', BRISK).action(async (files: string[], flags: CommonFlags) =>
    setExitCode(await runDelete(files, contextOf(flags, BRISK))),
  );
}

interface UploadFlags extends CommonFlags {
  recursive?: boolean;
  parallel: string;
  chunkSize?: string;
  streams: string;
  name?: string;
}

interface ListFlags extends CommonFlags {
  search?: string;
  sort: FileSortJson;
  order?: 'asc' | 'desc';
  limit: string;
}

interface GetFlags extends CommonFlags {
  zip?: string;
  streams: string;
  output?: string;
  force?: boolean;
}
