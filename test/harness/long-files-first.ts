/**
 * Starts the test files that take longest before all others, so that none of them runs alone at the end.
 * Vitest orders files by how long they took last time, and where it does not know (in CI) by their size in
 * bytes; a suite's file of twenty lines would come last.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The longest first, as the last lines of a run in CI tell (`times-reporter.ts`). A wrong name only costs time. */
const LONG_FILES = [
  'catalog/contract',
  'power/power',
  'sim/sim',
  'system/healing',
  'system/buckets',
  'stores/bucket-power',
  'deploy/nginx',
  'uploads/crash-points',
  'cli/other-sender',
  'stores/oss',
  'web/broken',
  'stores/ceph',
  'http/table/attacker',
  'web/others',
  'system/half-done',
  'system/kill',
  'system/bucket-false-answers',
  'admin/move',
  'cli/upload-streams',
  'uploads/crash-points-bucket',
  'cli/broken-line',
  'system/resume',
  'http/table/askers',
  'catalog/races',
  'system/bucket-leftovers',
  'web/name',
  'cli/name',
  'web/same-md5',
  'web/everyone',
  'system/postgres',
  'system/doctor-bucket',
  'web/words',
  'system/expire',
  'nodes/races',
  'system/large-archives',
  'web/folders',
  'catalog/postgres-races',
  'deploy/container',
  'web/proxies',
  'cli/links',
  'nodes/links',
  'system/slow',
  'cli/folders',
  'system/take-over',
];

export class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = LONG_FILES.findIndex((name) => moduleId.endsWith(`/test/${name}.test.js`));
      return found === -1 ? LONG_FILES.length : found;
    };
    // The sort is stable: all others stay in Vitest's order.
    return (await super.sort(files)).sort((one, other) => place(one) - place(other));
  }
}
