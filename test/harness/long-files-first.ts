/**
 * Starts the test files that take longest before all others, so that none of them runs alone at the end.
 * Vitest orders files by how long they took last time, and where it does not know (in CI) by their size in
 * bytes; a suite's file of twenty lines would come last.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The longest first, as the last lines of a run in CI tell (`times-reporter.ts`). A wrong name only costs time. */
const LONG_FILES = [
  'system/buckets',
  'power/power',
  'sim/sim',
  'cli/other-sender',
  'system/healing',
  'stores/bucket-power',
  'web/others',
  'system/resume',
  'stores/oss',
  'web/broken',
  'cli/broken-line',
  'stores/ceph',
  'cli/name',
  'system/kill',
  'system/half-done',
  'system/slow',
  'system/bucket-false-answers',
  'system/bucket-leftovers',
  'system/bucket-belonging',
  'system/same-bytes',
  'system/stop',
  'web/same-md5',
  'web/crashed',
  'system/expire',
  'system/silent',
  'system/clock',
  'uploads/crash-points-bucket',
  'catalog/contract',
  'catalog/postgres-races',
  'admin/move',
  'nodes/nodes',
  'nodes/clients',
  'nodes/alone',
  'tus/checksum',
  'tus/concatenation',
  'http/table/askers',
  'lint/planted',
  'deploy/container',
  'deploy/nginx',
  'system/bucket-power-cut',
  'system/doctor-bucket',
  'system/doctor-local',
  'http/downloads',
  'http/archive',
  'web/trouble',
  'web/selection',
  'web/proxies',
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
