/** States of uploads in queries. */
import { sql } from 'kysely';
import type { UploadState } from '../catalog.ts';

/** A literal, not a parameter: otherwise the database could not use the partial indexes of receiving uploads. */
export const RECEIVING = sql.lit<UploadState>('receiving');
