/**
 * Starts the test files that take longest before all others, so that none of them runs alone at the end.
 * Vitest orders files by how long they took last time, and where it does not know (in CI) by their size in
 * bytes; a suite's file of twenty lines would come last.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The longest first. A wrong name only costs time. */
const LONG_FILES = [
  'power/power',
  'stores/ceph',
  'stores/oss',
  'cli/name',
  'system/resume',
  'stores/bucket-power',
  'system/bucket-power-cut',
  'system/kill',
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
