/**
 * Starts the test files that take longest before all others, so that none of them runs alone at the end.
 * Vitest orders files by how long they took last time, and where it does not know (in CI) by their size in
 * bytes; a suite's file of twenty lines would come last.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The longest first. A wrong name only costs time. */
const LONG_FILES = [
  'cli/name',
  'power/power',
  'cli/other-sender',
  'system/buckets',
  'stores/oss',
  'stores/ceph',
  'cli/broken-line',
  'web/broken',
  'system/kill',
  'system/healing',
  'stores/bucket-power',
  'web/others',
  'system/resume',
  'system/half-done',
  'system/slow',
  'system/bucket-false-answers',
  'system/bucket-leftovers',
  'system/bucket-belonging',
  'system/same-bytes',
  'system/stop',
  'web/same-md5',
  'web/crashed',
  'sim/sim',
  'system/expire',
  'catalog/contract',
  'admin/move',
  'nodes/nodes',
  'nodes/clients',
  'deploy/container',
  'system/bucket-power-cut',
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
