/** The programs that scripts/bundle.mjs makes, by their paths below dist/, without `.js`. */
export const PROGRAMS = [
  'server/main',
  'server/doctor/main',
  'server/admin/main',
  'client/cli/main',
  'stores/digests/worker',
];
