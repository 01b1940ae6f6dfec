/** What the tests of folders in the page share. */
import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { makeBytes } from '../harness/bytes.ts';
import { type RunningService, startService } from '../harness/service.ts';
import { send } from '../harness/tus.ts';
import { json, putFile } from '../http/support.ts';
import { removeFiles } from './support.ts';

let seed = 67_000;

/** Bytes that no other file of these tests has. */
export function thousandBytes(): Buffer {
  return makeBytes(1_000, (seed += 1));
}

let shared: Promise<RunningService> | undefined;

/** To be called after all tests of a file that has called `startWith`. */
export async function stopShared(): Promise<void> {
  const service = shared;
  shared = undefined;
  await (await service)?.stop();
}

/** The service of the test file, with these files alone. */
export async function startWith(
  names: readonly string[],
): Promise<{ service: RunningService; ids: Record<string, string> }> {
  shared ??= startService();
  const service = await shared;
  await removeFiles(service);
  const ids: Record<string, string> = {};
  for (const filename of names) {
    ids[filename] = (await putFile(service.url, thousandBytes(), { filename })).fileId;
  }
  return { service, ids };
}

/** The names of the rows, in their order; folders end in a slash. */
export async function listed(page: Page): Promise<string[]> {
  return page
    .locator('#file-list > li')
    .evaluateAll((rows: Row[]) =>
      rows.map((row) => (row.querySelector('.name')?.textContent ?? '') + (row.matches('.folder') ? '/' : '')),
    );
}

/** As far as it is looked at in the browser. */
interface Row {
  querySelector(name: string): { textContent: string } | null;
  matches(selector: string): boolean;
}

export async function untilListed(page: Page, names: readonly string[]): Promise<void> {
  await expect.poll(() => listed(page), { timeout: 10_000 }).toEqual(names);
}

export async function namesOf(service: RunningService): Promise<string[]> {
  const page = await send('GET', `${service.url}/api/files?limit=1000&sort=name`);
  return json<{ files: { name: string }[] }>(page)
    .files.map(({ name }) => name)
    .toSorted();
}
