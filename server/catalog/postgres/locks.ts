/** Locks on the catalog as a whole: pairs of numbers, apart from those that are made of names. */

/** 'TIDE' in ASCII. */
const OURS = 0x54494445;

/** Whoever brings the schema up to date. */
export const MIGRATION_LOCK = [OURS, 1] as const;
