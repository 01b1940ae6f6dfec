/** States of uploads, as queries name them. */
import { sql } from 'kysely';
import type { UploadState } from '../catalog.ts';

/** Written into the queries, not bound: the indexes of receiving uploads are partial ones. */
export const RECEIVING = sql.lit<UploadState>('receiving');
