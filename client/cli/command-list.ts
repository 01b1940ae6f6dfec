/** The commands that ask the service, with their flags. */
import { type Command, Option } from 'commander';
import type { FileSortJson } from '../../server/wire/files.ts';
import { readLinkAddress } from '../core/addresses.ts';
import { MOST_STREAMS } from '../core/parts.ts';
import { runDelete, runInfo, runList, runRename } from './commands/catalog.ts';
import { runCheck } from './commands/check.ts';
import { runGet } from './commands/get.ts';
import { runDeleteFolders, runMoveTo } from './commands/folders.ts';
import { runGetFolder } from './commands/get-folder.ts';
import { runGetLink } from './commands/get-link.ts';
import { runGetArchive } from './commands/get-archive.ts';
import { runLinks, runShare, runUnshare } from './commands/links.ts';
import { runRequest } from './commands/request.ts';
import { runSend } from './commands/send.ts';
import { runQuota } from './commands/quota.ts';
import { runDeleteForGood, runEmptyTrash, runRestore, runTrash } from './commands/trash.ts';
import { runUpload } from './commands/upload.ts';
import type { CommonFlags, Context } from './context.ts';
import { UsageError } from './errors.ts';
import { parseCount, parseDuration, parseSize } from './format.ts';
import { readLinkFromInput } from './read-link.ts';
import { askPassword, canAsk, readPasswordFile } from './read-password.ts';
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
const FILES_AT_ONCE = '3';

/** In the order in which help lists them. */
export const COMMANDS: readonly ((frame: Frame) => void)[] = [
  addUpload,
  addCheck,
  addList,
  addInfo,
  addGet,
  addRename,
  addMove,
  addDelete,
  addTrash,
  addQuota,
  addShare,
  addLinks,
  addUnshare,
  addRequest,
];

function addUpload({ command, contextOf, setExitCode }: Frame): void {
  command('upload <path...>', 'upload files; - is standard input', PATIENT)
    .option('-r, --recursive', 'upload what is in folders, with their structure')
    .option('-p, --parallel <n>', 'files at once', FILES_AT_ONCE)
    .option('--chunk-size <size>', 'most bytes in one request (default: no limit; standard input: 8MiB)')
    .option('--streams <n>', `connections for each file, up to ${MOST_STREAMS}, or auto: as many as help`, '1')
    .option('-n, --name <name>', 'the name it gets, which may be a path; needed for standard input')
    .option('--replace', 'replace a file that has the name, in place of keeping both')
    .option('--to <link>', 'send them by a link that somebody gave you; - reads it from standard input')
    .option('--password-file <path>', 'has the password of that link; without it, the terminal asks')
    .option('--sender <name>', 'who sends them, for the owner of that link')
    .option('--note <text>', 'a note to the owner of that link')
    .action(async (paths: string[], flags: UploadFlags) => {
      if (flags.to !== undefined) {
        setExitCode(await sendByLink(flags.to, paths, flags, contextOf(flags, PATIENT)));
        return;
      }
      for (const flag of ['passwordFile', 'sender', 'note'] as const) {
        if (flags[flag] !== undefined)
          throw new UsageError(`--${flag === 'passwordFile' ? 'password-file' : flag} goes with --to.`);
      }
      const options = {
        recursive: flags.recursive === true,
        parallel: parseCount(flags.parallel, '--parallel'),
        chunkSizeBytes: flags.chunkSize === undefined ? null : parseSize(flags.chunkSize, '--chunk-size'),
        streams: parseStreams(flags.streams, '--streams'),
        name: flags.name,
        replace: flags.replace === true,
      };
      setExitCode(await runUpload(paths, options, contextOf(flags, PATIENT)));
    });
}

/** @throws UsageError */
async function sendByLink(given: string, paths: string[], flags: UploadFlags, context: Context): Promise<number> {
  if (flags.replace === true) throw new UsageError('--replace does not go with --to: a sender replaces nothing.');
  if (flags.streams !== '1') throw new UsageError('--streams does not go with --to.');
  const link = given === '-' ? await readLinkFromInput() : readLinkAddress(given);
  if (!link) throw new UsageError('--to takes the whole address of a link, as in https://files.example/s/…');
  const options = {
    recursive: flags.recursive === true,
    parallel: parseCount(flags.parallel, '--parallel'),
    chunkSizeBytes: flags.chunkSize === undefined ? null : parseSize(flags.chunkSize, '--chunk-size'),
    name: flags.name,
    passwordFile: flags.passwordFile ?? null,
    sender: flags.sender ?? null,
    note: flags.note ?? null,
  };
  return runSend(link, paths, options, context);
}

function addRequest({ command, contextOf, setExitCode }: Frame): void {
  command('request <folder>', 'make a link by which anyone can send files into a folder', BRISK)
    .option('--expires <time>', 'how long it works: 7d, 12h (default: until it is revoked)')
    .option('--max-bytes <size>', 'how many bytes it takes in all: 10GiB')
    .option('--max-files <n>', 'how many files it takes')
    .option('--max-size <size>', 'how large a file may be')
    .option('--types <list>', 'which types it takes, by extension or media type: .pdf,image/*')
    .option('--password', 'ask for a password at the terminal')
    .option('--password-file <path>', 'the first line is its password')
    .option('-n, --name <name>', 'a title for those who open it')
    .action(async (folder: string, flags: RequestFlags) => {
      const context = contextOf(flags, BRISK);
      const sizeOf = (given: string | undefined, flag: string): number | null =>
        given === undefined ? null : parseSize(given, flag);
      const options = {
        expiresInSeconds: readExpiry(flags.expires),
        maxBytes: sizeOf(flags.maxBytes, '--max-bytes'),
        maxFiles: flags.maxFiles === undefined ? null : parseCount(flags.maxFiles, '--max-files'),
        maxFileBytes: sizeOf(flags.maxSize, '--max-size'),
        types: flags.types === undefined ? null : flags.types.split(',').map((type) => type.trim()),
        name: flags.name ?? null,
        password: await newPassword(flags),
      };
      setExitCode(await runRequest(folder, options, context));
    });
}

/** @throws UsageError */
function readExpiry(given: string | undefined): number | null {
  const seconds = given === undefined ? null : Math.ceil(parseDuration(given, '--expires') / 1000);
  if (seconds === 0) throw new UsageError('--expires must be longer than no time.');
  return seconds;
}

function addCheck({ command, contextOf, setExitCode }: Frame): void {
  command('check <path...>', 'ask whether the service has the content of files', BRISK).action(
    async (paths: string[], flags: CommonFlags) => setExitCode(await runCheck(paths, contextOf(flags, BRISK))),
  );
}

function addList({ command, contextOf, setExitCode }: Frame): void {
  command('list [folder]', 'list the files, or what is in a folder; / is the top', BRISK)
    .option('-r, --recursive', 'all files below the folder')
    .option('--search <text>', 'only files with this in their name')
    .addOption(new Option('--sort <key>', 'sort by (default: uploaded)').choices(['uploaded', 'name', 'size']))
    .addOption(new Option('--order <order>', 'asc or desc').choices(['asc', 'desc']))
    .option('--limit <n>', 'most files to list', '50')
    .action(async (folder: string | undefined, flags: ListFlags) => {
      const { search, sort, order, recursive = false } = flags;
      const limit = parseCount(flags.limit, '--limit');
      const options = { folder, recursive, search, sort: sort ?? 'uploaded', order, limit };
      if (recursive && folder === undefined) throw new UsageError('--recursive goes with a folder; / is the top.');
      if (recursive && (sort ?? order) !== undefined)
        throw new UsageError('With --recursive the files come folder by folder: leave out --sort and --order.');
      if (folder !== undefined && search !== undefined)
        throw new UsageError('--search looks at all files: leave out the folder.');
      setExitCode(await runList(options, contextOf(flags, BRISK)));
    });
}

function addInfo({ command, contextOf, setExitCode }: Frame): void {
  command('info <file>', 'print all that is known of a file', BRISK).action(async (file: string, flags: CommonFlags) =>
    setExitCode(await runInfo(file, contextOf(flags, BRISK))),
  );
}

function addGet({ command, contextOf, setExitCode }: Frame): void {
  command('get <file...>', 'download a file, a folder, or what a link has, and verify it', PATIENT)
    .option('-r, --recursive', 'download all files below a folder')
    .option('-p, --parallel <n>', `files at once, with --recursive (default: ${FILES_AT_ONCE})`)
    .option('-o, --output <path>', 'where to: a file, a folder, or - for standard output')
    .option('-f, --force', 'replace a file that is there')
    .option('--zip <path>', 'download the files as one ZIP file, to this path')
    .option('--password-file <path>', 'has the password of a link; without it, the terminal asks')
    .option('--streams <n>', `connections at once, up to ${MOST_STREAMS}, or auto: as many as help`, '1')
    .action(async (files: string[], flags: GetFlags) => {
      const streams = parseStreams(flags.streams, '--streams');
      const options = { output: flags.output, force: flags.force === true, streams };
      const context = contextOf(flags, PATIENT);
      const parallel = parseCount(flags.parallel ?? FILES_AT_ONCE, '--parallel');
      if (flags.recursive === true) {
        setExitCode(await runGetFolder(folderArguments(files, flags), { ...options, parallel }, context));
        return;
      }
      if (flags.parallel !== undefined) throw new UsageError('--parallel goes with --recursive.');
      if (flags.zip !== undefined) {
        if (flags.output !== undefined) throw new UsageError('--zip and --output do not go together.');
        if (streams !== 1) throw new UsageError('--streams does not go with --zip.');
      }
      const links = files[0] === '-' ? [await readLinkFromInput()] : files.map(readLinkAddress);
      const [link] = links;
      if (link && files.length === 1) {
        const ofLink = { ...options, zip: flags.zip ?? null, passwordFile: flags.passwordFile ?? null };
        setExitCode(await runGetLink(link, ofLink, context));
        return;
      }
      if (links.some((each) => each !== null)) throw new UsageError('A link is downloaded by itself.');
      if (flags.passwordFile !== undefined) throw new UsageError('--password-file goes with a link.');
      if (flags.zip !== undefined) {
        setExitCode(await runGetArchive(files, flags.zip, options, context));
        return;
      }
      const [file = '', ...more] = files;
      if (more.length > 0) throw new UsageError('Several files are downloaded as one ZIP file: --zip <path>.');
      setExitCode(await runGet(file, options, context));
    });
}

function addRename({ command, contextOf, setExitCode }: Frame): void {
  command('rename <file> <name>', 'give a file another name in its folder, or another path', BRISK).action(
    async (file: string, name: string, flags: CommonFlags) =>
      setExitCode(await runRename(file, name, contextOf(flags, BRISK))),
  );
}

function addMove({ command, contextOf, setExitCode }: Frame): void {
  command(
    'move <from> <to>',
    'move a file or a folder to another path; into a folder where <to> ends in /',
    BRISK,
  ).action(async (from: string, to: string, flags: CommonFlags) =>
    setExitCode(await runMoveTo(from, to, contextOf(flags, BRISK))),
  );
}

function addDelete({ command, contextOf, setExitCode }: Frame): void {
  command('delete <file...>', 'delete files, or folders with all that is below them', BRISK)
    .option('-r, --recursive', 'delete folders')
    .action(async (meant: string[], flags: CommonFlags & { recursive?: boolean }) => {
      const run = flags.recursive === true ? runDeleteFolders : runDelete;
      setExitCode(await run(meant, contextOf(flags, BRISK)));
    });
}

function addTrash({ command, contextOf, setExitCode }: Frame): void {
  command('trash [action] [file...]', 'list deleted files; restore, delete or empty: what to do with them', BRISK)
    .option('--limit <n>', 'most files to list', '50')
    .action(async (action: string | undefined, files: string[], flags: LinksFlags) => {
      const context = contextOf(flags, BRISK);
      const isOfFiles = action === 'restore' || action === 'delete';
      if (isOfFiles && files.length === 0) throw new UsageError(`trash ${action}: name the files, or a folder/.`);
      if (!isOfFiles && files.length > 0) throw new UsageError('Files go with trash restore and trash delete.');
      switch (action ?? 'list') {
        case 'list':
          return setExitCode(await runTrash({ limit: parseCount(flags.limit, '--limit') }, context));
        case 'restore':
          return setExitCode(await runRestore(files, context));
        case 'delete':
          return setExitCode(await runDeleteForGood(files, context));
        case 'empty':
          return setExitCode(await runEmptyTrash(context));
        default:
          throw new UsageError(`trash ${action}: use list, restore, delete or empty.`);
      }
    });
}

function addQuota({ command, contextOf, setExitCode }: Frame): void {
  command('quota', 'print how much room there is, and what takes it up', BRISK).action(async (flags: CommonFlags) => {
    setExitCode(await runQuota(contextOf(flags, BRISK)));
  });
}

/** @throws UsageError */
function folderArguments(
  [folder = '', target, ...more]: string[],
  flags: GetFlags,
): { folder: string; target?: string } {
  if (flags.zip !== undefined || flags.output === '-')
    throw new UsageError('--recursive writes files: --zip and --output - do not go with it.');
  if (more.length > 0 || (target !== undefined && flags.output !== undefined))
    throw new UsageError('--recursive takes one folder, and where to put it.');
  const given = target ?? flags.output;
  return { folder, ...(given === undefined ? {} : { target: given }) };
}

function addShare({ command, contextOf, setExitCode }: Frame): void {
  command('share <file...>', 'make a link by which anyone can download files, or what is in folders', BRISK)
    .option('--expires <time>', 'how long it works: 7d, 12h (default: until it is revoked)')
    .option('--downloads <n>', 'how many downloads may begin (default: any number)')
    .option('--password', 'ask for a password at the terminal')
    .option('--password-file <path>', 'the first line is its password')
    .option('-n, --name <name>', 'a title for those who open it')
    .action(async (files: string[], flags: ShareFlags) => {
      const context = contextOf(flags, BRISK);
      const options = {
        expiresInSeconds: readExpiry(flags.expires),
        downloads: flags.downloads === undefined ? null : parseCount(flags.downloads, '--downloads'),
        name: flags.name ?? null,
        password: await newPassword(flags),
      };
      setExitCode(await runShare(files, options, context));
    });
}

async function newPassword({
  password,
  passwordFile,
}: Pick<ShareFlags, 'password' | 'passwordFile'>): Promise<string | null> {
  if (passwordFile !== undefined) return readPasswordFile(passwordFile, '--password-file');
  if (password !== true) return null;
  if (!canAsk())
    throw new UsageError('There is no terminal to ask at; --password-file names a file with the password.');
  const first = await askPassword('New password: ');
  if (first === (await askPassword('Once more: '))) return first;
  throw new UsageError('The two passwords differ.');
}

function addLinks({ command, contextOf, setExitCode }: Frame): void {
  command('links', 'list the links', BRISK)
    .option('--limit <n>', 'most links to list', '50')
    .action(async (flags: LinksFlags) =>
      setExitCode(await runLinks({ limit: parseCount(flags.limit, '--limit') }, contextOf(flags, BRISK))),
    );
}

function addUnshare({ command, contextOf, setExitCode }: Frame): void {
  command('unshare <link...>', 'revoke links, by their ids', BRISK).action(async (ids: string[], flags: CommonFlags) =>
    setExitCode(await runUnshare(ids, contextOf(flags, BRISK))),
  );
}

interface ShareFlags extends CommonFlags {
  expires?: string;
  downloads?: string;
  password?: boolean;
  passwordFile?: string;
  name?: string;
}

interface RequestFlags extends CommonFlags {
  expires?: string;
  maxBytes?: string;
  maxFiles?: string;
  maxSize?: string;
  types?: string;
  password?: boolean;
  passwordFile?: string;
  name?: string;
}

interface LinksFlags extends CommonFlags {
  limit: string;
}

interface UploadFlags extends CommonFlags {
  recursive?: boolean;
  parallel: string;
  chunkSize?: string;
  streams: string;
  name?: string;
  replace?: boolean;
  to?: string;
  passwordFile?: string;
  sender?: string;
  note?: string;
}

interface ListFlags extends CommonFlags {
  recursive?: boolean;
  search?: string;
  sort?: FileSortJson;
  order?: 'asc' | 'desc';
  limit: string;
}

interface GetFlags extends CommonFlags {
  recursive?: boolean;
  zip?: string;
  passwordFile?: string;
  parallel?: string;
  streams: string;
  output?: string;
  force?: boolean;
}
