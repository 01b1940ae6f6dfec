/** Measures searches and listings among a million names of one owner, on SQLite, by HTTP. */
import type { RunningService } from '../../test/harness/service.ts';
import { cpuSeconds } from './processes.ts';
import { ABSENT, FILES, RARE, SELDOM, withFilledService } from './sqlite-rows.ts';
import { median, printTable } from './table.ts';

const MOST = 200;
/** Time for one kind: slow searches are made less often. */
const BUDGET_MS = 4_000;

/** The question that reads the most where there is no index. */
export const IN_NONE = 'search: in none';

/** What is asked for, by its name in the table. */
export const QUESTIONS: Record<string, string> = {
  'listing, newest first': '',
  'listing by name': 'sort=name',
  [IN_NONE]: `search=${ABSENT}`,
  'search: in none, of letters that are in many': 'search=pdf.tar',
  'search: in none, two letters': 'search=qx',
  'search: in none, one letter': `search=${encodeURIComponent('ß')}`,
  'search: in ten': `search=${RARE}`,
  'search: in one of 1,000': `search=${SELDOM}`,
  'search: in one of 8': 'search=report',
  'search by name: in none': `search=${ABSENT}&sort=name`,
  'search by name: in one of 8': 'search=report&sort=name',
};

/** Asks a service for a page. */
export async function ask(service: RunningService, query: string): Promise<void> {
  const answer = await fetch(`${service.url}/api/files?limit=50&${query}`);
  const body = await answer.text();
  if (!answer.ok) throw new Error(`/api/files?${query} answered ${answer.status}: ${body}`);
}

/** Runs the measurement. @param counts - how many files the owner has. */
export async function benchSearch(folder: string, [files = FILES]: number[] = []): Promise<void> {
  await withFilledService({ folder, files }, async (service) => {
    await measureSearch(service);
  });
}

/** What was measured of one question. */
export interface Asked {
  timesMs: number[];
  /** Of the service, for one answer. */
  cpuMs: number;
}

/** Times each question, or only some, and prints the table. */
export async function measureSearch(
  service: RunningService,
  names: readonly string[] = Object.keys(QUESTIONS),
): Promise<Map<string, Asked>> {
  const asked = new Map<string, Asked>();
  for (const name of names) {
    const query = QUESTIONS[name] ?? '';
    await ask(service, query);
    const timesMs: number[] = [];
    const cpuBefore = cpuSeconds(service.pid);
    for (let spentMs = 0; timesMs.length < MOST && spentMs < BUDGET_MS;) {
      const startedAt = performance.now();
      await ask(service, query);
      const tookMs = performance.now() - startedAt;
      timesMs.push(tookMs);
      spentMs += tookMs;
    }
    asked.set(name, { timesMs, cpuMs: ((cpuSeconds(service.pid) - cpuBefore) * 1000) / timesMs.length });
  }
  printTable(
    ['question', 'median ms', 'max ms', 'CPU ms', 'calls'],
    [...asked].map(([name, { timesMs, cpuMs }]) => [
      name,
      median(timesMs).toFixed(2),
      Math.max(...timesMs).toFixed(2),
      cpuMs.toFixed(2),
      String(timesMs.length),
    ]),
  );
  return asked;
}
