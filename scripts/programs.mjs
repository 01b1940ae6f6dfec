/** The programs that scripts/bundle.mjs makes, by their paths below dist/, without `.js`. */
export const PROGRAMS = [
  'server/main',
  'server/doctor/main',
  'server/admin/main',
  'client/cli/main',
  'stores/digests/worker',
];

/** The name of a program's bundle in dist/chunks/, without `.cjs`. */
export function bundleOf(program) {
  return program.replaceAll('/', '-');
}
