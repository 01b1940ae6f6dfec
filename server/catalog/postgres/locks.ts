/** Advisory locks that are pairs of numbers: PostgreSQL keeps them apart from locks by one number, such as a hashed name. */

/** 'TIDE' in ASCII. */
const OURS = 0x54494445;

/** Held by the process that migrates the schema. */
export const MIGRATION_LOCK = [OURS, 1] as const;
