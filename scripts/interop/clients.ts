/**
 * Clients of others, as far as registries have them. Each is installed into a folder of its own by the ordinary client of its
 * registry, with whatever that is configured to use.
 */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { sendInPage } from './page.ts';

const PROGRAMS = fileURLToPath(new URL('../../../scripts/interop/programs/', import.meta.url));
const INSTALL_MS = 15 * 60_000;
const RUN_MS = 60_000;

/** This repository's own settings, which `npm run` hands on, are not meant for what runs in a browser. */
const NPM_INSTALL = 'install --engine-strict=false --loglevel=error --no-audit --no-fund --ignore-scripts'.split(' ');

const execute = promisify(execFile);

/** A client that is installed. */
export interface Installed {
  version: string;
  /** Sends the file. @throws where the client gives up. */
  send(endpoint: string, path: string): Promise<void>;
}

export interface InteropClient {
  name: string;
  /** @throws where it cannot be had. */
  install(folder: string): Promise<Installed>;
}

export const CLIENTS: readonly InteropClient[] = [
  { name: 'tus-js-client 4', install: (folder) => tusJsClient(folder, '^4.0.0') },
  // There is no release of it yet.
  { name: 'tus-js-client 5', install: (folder) => tusJsClient(folder, '^5.0.0-0') },
  ...[4, 5, 6].map((major) => ({
    name: `@uppy/tus of Uppy ${major}`,
    install: (folder: string) => uppy(folder, major),
  })),
  { name: 'tuspy', install: tuspy },
  { name: 'tusgo', install: tusgo },
  { name: 'tus-uploader (Rust)', install: tusUploader },
  { name: 'tus-java-client', install: tusJavaClient },
];

async function tusJsClient(folder: string, range: string): Promise<Installed> {
  await npmInstall(folder, `tus-js-client@${range}`);
  return withProgram(folder, 'tus-js-client.mjs', await npmVersion(folder, 'tus-js-client'), [process.execPath]);
}

async function uppy(folder: string, major: number): Promise<Installed> {
  await npmInstall(folder, `@uppy/core@${major}`, `@uppy/tus@${major}`);
  await copyFile(join(PROGRAMS, 'uppy.js'), join(folder, 'uppy.js'));
  return {
    version: `${await npmVersion(folder, '@uppy/tus')}, tus-js-client ${await npmVersion(folder, 'tus-js-client')}`,
    send: (endpoint, path) => sendInPage(join(folder, 'uppy.js'), endpoint, path),
  };
}

async function tuspy(folder: string): Promise<Installed> {
  await run(folder, 'python3', ['-m', 'venv', 'venv']);
  const python = join(folder, 'venv/bin/python');
  await run(folder, python, ['-m', 'pip', 'install', '--quiet', 'tuspy']);
  const version = await run(folder, python, ['-c', 'import importlib.metadata as m; print(m.version("tuspy"))']);
  return withProgram(folder, 'tuspy.py', version, [python], 'send.py');
}

async function tusgo(folder: string): Promise<Installed> {
  await copyFile(join(PROGRAMS, 'tusgo.go'), join(folder, 'main.go'));
  await run(folder, 'go', ['mod', 'init', 'interop']);
  await run(folder, 'go', ['get', 'github.com/bdragon300/tusgo']);
  await run(folder, 'go', ['build', '-o', 'send', '.']);
  const version = await run(folder, 'go', ['list', '-m', '-f', '{{.Version}}', 'github.com/bdragon300/tusgo']);
  return { version, send: (endpoint, path) => sendBy(folder, [join(folder, 'send'), endpoint, path]) };
}

async function tusUploader(folder: string): Promise<Installed> {
  await run(folder, 'cargo', ['init', '--quiet', '--vcs', 'none', '--name', 'interop']);
  await copyFile(join(PROGRAMS, 'tus-uploader.rs'), join(folder, 'src/main.rs'));
  const features = ['--no-default-features', '--features', 'transport-reqwest,checksum'];
  await run(folder, 'cargo', ['add', '--quiet', 'tus-uploader', ...features]);
  await run(folder, 'cargo', ['add', '--quiet', 'tokio', '--features', 'rt,macros,time']);
  await run(folder, 'cargo', ['add', '--quiet', 'url']);
  await run(folder, 'cargo', ['build', '--quiet']);
  const lock = await readFile(join(folder, 'Cargo.lock'), 'utf8');
  const version = /name = "tus-uploader"\nversion = "(.*)"/.exec(lock)?.[1] ?? 'unknown';
  return { version, send: (endpoint, path) => sendBy(folder, [join(folder, 'target/debug/interop'), endpoint, path]) };
}

async function tusJavaClient(folder: string): Promise<Installed> {
  await writeFile(
    join(folder, 'pom.xml'),
    `<project><modelVersion>4.0.0</modelVersion><groupId>interop</groupId><artifactId>interop</artifactId>
<version>1</version><dependencies><dependency><groupId>io.tus.java.client</groupId><artifactId>tus-java-client</artifactId>
<version>[0.5,)</version></dependency></dependencies></project>\n`,
  );
  await run(folder, 'mvn', ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=lib']);
  const jars = await readdir(join(folder, 'lib'));
  const version = jars.map((jar) => /^tus-java-client-(.*)\.jar$/.exec(jar)?.[1]).find(Boolean) ?? 'unknown';
  return withProgram(folder, 'TusJavaClient.java', version, ['java', '-cp', join(folder, 'lib/*')]);
}

async function npmInstall(folder: string, ...packages: string[]): Promise<void> {
  await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}\n');
  await run(folder, 'npm', [...NPM_INSTALL, ...packages]);
}

async function npmVersion(folder: string, name: string): Promise<string> {
  const text = await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** @param as - its name in the folder, where its own would stand for the library. */
async function withProgram(
  folder: string,
  name: string,
  version: string,
  command: readonly string[],
  as = name,
): Promise<Installed> {
  await mkdir(folder, { recursive: true });
  await copyFile(join(PROGRAMS, name), join(folder, as));
  return { version, send: (endpoint, path) => sendBy(folder, [...command, join(folder, as), endpoint, path]) };
}

async function sendBy(folder: string, [program = '', ...args]: readonly string[]): Promise<void> {
  await run(folder, program, args, RUN_MS);
}

/** @returns its output. @throws with the last lines that it wrote. */
async function run(folder: string, program: string, args: readonly string[], timeout = INSTALL_MS): Promise<string> {
  try {
    return (await execute(program, args, { cwd: folder, timeout, maxBuffer: 64 * 1024 * 1024 })).stdout.trim();
  } catch (error) {
    const { code, stderr = '', stdout = '' } = error as { code?: unknown; stderr?: string; stdout?: string };
    const said = (stderr.trim() || stdout.trim()).split('\n').slice(-3).join(' ').trim();
    throw new Error(code === 'ENOENT' ? `there is no ${program} here` : `${program}: ${said || String(error)}`, {
      cause: error,
    });
  }
}
