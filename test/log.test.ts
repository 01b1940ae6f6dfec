import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { createLog } from '../server/log.ts';

const LOG_MODULE = join(import.meta.dirname, '../server/log.js');

function record(write: (logger: ReturnType<typeof createLog>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLog('info', { write: (line) => lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a line carries its level, the time in ISO 8601 and the fields given', () => {
  const [line, ...rest] = record((logger) => {
    logger.debug('not at this level');
    logger.info({ uploadId: 'u1', durationMs: 12 }, 'received');
  });
  expect(rest).toEqual([]);
  expect(line).toMatchObject({ level: 30, msg: 'received', uploadId: 'u1', durationMs: 12 });
  expect(line?.['time']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test('secrets never reach the log', () => {
  const lines = record((logger) => {
    logger.info({
      authorization: 'Bearer swordfish',
      headers: { authorization: 'Bearer swordfish', cookie: 'swordfish' },
    });
    logger.info({ req: { headers: { authorization: 'Bearer swordfish', Authorization: 'Bearer swordfish' } } });
    logger.info({ config: { access: { tokens: [{ owner: 'alice', secret: 'swordfish' }] } } });
    logger.info({ token: 'swordfish', store: { secretAccessKey: 'swordfish' } });
    logger.info({
      requests: [{ id: 1 }, { headers: { 'Proxy-Authorization': 'swordfish', 'set-cookie': ['swordfish'] } }],
    });
    logger.child({ requestId: 1 }).info({ headers: { authorization: 'Bearer swordfish' } }, 'of a child');
  });
  expect(lines).toHaveLength(6);
  expect(JSON.stringify(lines)).not.toContain('swordfish');
  expect(JSON.stringify(lines)).toContain('[secret]');
});

test('what is logged stays as it was, and errors keep their causes', () => {
  const headers = { authorization: 'Bearer swordfish', host: 'here' };
  const error = new Error('outer', { cause: new Error('inner') });
  const [line] = record((logger) => logger.error({ err: error, headers }, 'failed'));
  expect(headers.authorization).toBe('Bearer swordfish');
  expect(line).toMatchObject({ headers: { authorization: '[secret]', host: 'here' } });
  expect(JSON.stringify(line?.['err'])).toMatch(/outer.*inner/);
});

test('a line longer than what may wait is dropped and told of, and the lines after it come out', async () => {
  const code = `
    const { createLog } = await import(${JSON.stringify(LOG_MODULE)});
    const logger = createLog('info');
    logger.info({ long: 'x'.repeat(1100000) }, 'too long');
    logger.info('after it');`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code]);
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { msg: string; dropped?: number });
  expect(lines.map(({ msg, dropped }) => dropped ?? msg)).toEqual([1, 'after it']);
});

test.each(['process.exit(3)', "throw new Error('boom')"])(
  'every line is out when the process ends by %s',
  async (end) => {
    const code = `
    const { createLog } = await import(${JSON.stringify(LOG_MODULE)});
    const logger = createLog('info');
    for (let i = 0; i < 5000; i++) logger.info({ i }, 'line');
    ${end};
  `;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], { maxBuffer: 2 ** 24 });
    const { stdout } = (await run.catch((error: unknown) => error)) as { stdout: string };
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(5000);
    expect(JSON.parse(lines[4999] ?? '')).toMatchObject({ i: 4999 });
  },
);
