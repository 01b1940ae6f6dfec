/** Runs the examples of docs/http-api.md against real services, and compares what they print with what is written there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { STATUSES as HTTP_STATUSES } from '../../server/http/refusals.ts';
import { STATUSES as RUFH_STATUSES } from '../../server/protocols/rufh/refusals.ts';
import { STATUSES as TUS_STATUSES } from '../../server/protocols/tus/refusals.ts';
import { type RunningService, startService } from '../harness/service.ts';

const TOKEN = 'a-secret-of-the-docs';
const ANNA = 'a-secret-of-anna';
const BERT = 'a-secret-of-bert';
const BOUNDARY = '--- the next example ---';

interface Example {
  line: number;
  script: string;
  format: string;
  expected: string;
}

const page = await readFile(fileURLToPath(new URL('../../../docs/http-api.md', import.meta.url)), 'utf8');
const examples: Example[] = [...page.matchAll(/^```sh\n(.*?)^```\n```(\w+)\n(.*?)^```$/gms)].map((match) => ({
  line: page.slice(0, match.index).split('\n').length,
  script: match[1] ?? '',
  format: match[2] ?? '',
  expected: match[3] ?? '',
}));

let service: RunningService;
let guarded: RunningService;
let folder: string;
let outputs: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-test-'));
  [service, guarded] = await Promise.all([
    startService(),
    startService({
      env: {
        AUTH_TOKENS: `docs:${TOKEN}, anna:${ANNA}, bert:${BERT}`,
        INSTANT: 'all',
        TRASH_TTL: '7d',
        QUOTA_BYTES: '1GB',
      },
    }),
  ]);
  // One shell for all: later examples use the variables and files of earlier ones.
  const shell = spawn('bash', ['-eu'], {
    cwd: folder,
    env: { PATH: process.env['PATH'], BASE: service.url, GUARDED: guarded.url, TOKEN, ANNA, BERT },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  shell.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  // In braces: a whole example is read before it runs, and no command can take the rest as its input.
  shell.stdin.end(examples.map(({ script }) => `{ ${script}} < /dev/null\nprintf '\\n${BOUNDARY}\\n'\n`).join(''));
  await once(shell, 'close');
  outputs = output.split(`\n${BOUNDARY}\n`);
});
afterAll(async () => {
  await Promise.all([service.stop(), guarded.stop()]);
  await rm(folder, { recursive: true });
});

/** `<...>` stands for anything on one line. */
function toPattern(text: string): RegExp {
  const parts = text.split(/<[^<>]+>/).map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join('.+')}$`);
}

function expectJson(actual: unknown, expected: unknown, path = '$'): void {
  if (typeof expected === 'string') {
    expect(actual, path).toMatch(toPattern(expected));
  } else if (typeof expected === 'object' && expected !== null) {
    expect(Object.keys(actual as object).toSorted(), path).toEqual(Object.keys(expected).toSorted());
    for (const [key, value] of Object.entries(expected)) {
      expectJson((actual as Record<string, unknown>)[key], value, `${path}.${key}`);
    }
  } else expect(actual, path).toBe(expected);
}

function expectText(actual: string, expected: string): void {
  const [lines, patterns] = [actual.trim().split('\n'), expected.trim().split('\n')];
  for (const [index, pattern] of patterns.entries()) expect(lines[index]?.trimEnd()).toMatch(toPattern(pattern));
  expect(lines.length).toBe(patterns.length);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The status line, the headers that are written down (others may be there), and the body. */
function expectHttp(actual: string, expected: string): void {
  // Informational answers come before the one that is written down.
  const final = actual.replaceAll('\r\n', '\n').replace(/^(?:HTTP\/1\.1 1\d\d[^\n]*\n(?:[^\n]+\n)*\n)+/, '');
  const [head = '', ...rest] = final.split('\n\n');
  const [wantedHead = '', ...wantedRest] = expected.split('\n\n');
  const [status, ...lines] = head.trim().split('\n');
  const [wantedStatus = '', ...wantedLines] = wantedHead.trim().split('\n');
  // Node names no reason for statuses it does not know.
  expect(`${status?.trimEnd()}${/^HTTP\S+ \d+$/.test(status?.trimEnd() ?? '') ? ' unknown' : ''}`).toMatch(
    toPattern(wantedStatus),
  );
  for (const wanted of wantedLines) {
    const name = wanted.slice(0, wanted.indexOf(':')).toLowerCase();
    const found = lines.find((line) => line.toLowerCase().startsWith(`${name}:`)) ?? `${name} is missing`;
    expect(found.slice(name.length + 1).trim(), wanted).toMatch(toPattern(wanted.slice(name.length + 1).trim()));
  }
  const wantedBody = wantedRest.join('\n\n').trim();
  if (wantedBody === '') return;
  const body = rest.join('\n\n').trim();
  if (isJson(wantedBody)) expectJson(JSON.parse(body), JSON.parse(wantedBody));
  else expectText(body, wantedBody);
}

describe('docs/http-api.md', () => {
  test('all examples were found and run', () => {
    expect(examples.length).toBe(page.match(/^```sh$/gm)?.length);
    expect(outputs.length).toBe(examples.length + 1);
  });

  test.each(examples.map((example, index) => ({ ...example, index })))('line $line', ({ index, format, expected }) => {
    const output = outputs[index] ?? '';
    if (format === 'json') expectJson(JSON.parse(output), JSON.parse(expected));
    else if (format === 'http') expectHttp(output, expected);
    else expectText(output, expected);
  });

  test('the table of errors has all codes of both edges, with their statuses', () => {
    const answered = new Set([...HTTP_STATUSES, ...TUS_STATUSES].map(([code, status]) => `${code} ${status}`));
    const table = [...page.matchAll(/^\| `(\w+)` \| (\d{3}) \|/gm)].map((match) => `${match[1]} ${match[2]}`);
    expect(answered.size).toBeGreaterThan(20);
    expect(table.toSorted()).toEqual([...answered].toSorted());
  });

  test('so has that of problem documents', () => {
    const rows = [...page.matchAll(/^\| (\d{3}) \| (`.*) \|$/gm)];
    const table = rows.flatMap(([, status, codes = '']) =>
      [...codes.matchAll(/`([a-z_]+)`/g)].map(([, code]) => `${code} ${status}`),
    );
    const answered = [...RUFH_STATUSES].map(([code, status]) => `${code} ${status}`);
    expect(table.toSorted()).toEqual(answered.toSorted());
  });
});
