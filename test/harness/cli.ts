/** The command line client as a real process. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../client/cli/main.js', import.meta.url));

export interface CliRun {
  readonly child: ChildProcess;
  /** Resolves when the process has exited. */
  readonly done: Promise<CliResult>;
}

export interface CliResult {
  /** null when a signal ended it. */
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** Starts `tidemark` with these arguments; its cache and journal are kept below `homeFolder`. */
export function runCli(args: string[], homeFolder: string, env: NodeJS.ProcessEnv = {}): CliRun {
  return runProgram(CLI, args, homeFolder, env);
}

/** Starts another program of the build, in the same surroundings. */
export function runProgram(program: string, args: string[], homeFolder: string, env: NodeJS.ProcessEnv): CliRun {
  const child = spawn(process.execPath, ['--enable-source-maps', program, ...args], {
    cwd: homeFolder,
    env: {
      PATH: process.env['PATH'],
      HOME: homeFolder,
      XDG_CACHE_HOME: `${homeFolder}/cache`,
      XDG_STATE_HOME: `${homeFolder}/state`,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const done = new Promise<CliResult>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
  });
  return { child, done };
}
