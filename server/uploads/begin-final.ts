/** Begins a final upload: checks its partials, and records it with them. */
import type { UploadRecord } from '../catalog/catalog.ts';
import { createUpload } from './begin.ts';
import type { FinalRequest } from './contract.ts';
import { TidemarkError } from './errors.ts';
import { sizeOfAll } from './join.ts';
import type { Parts } from './parts.ts';
import { refuseTooLarge } from './receive.ts';

/** Records a final. @throws `partial_not_found`, `not_partial`, `too_large`, `too_many_uploads`. */
export async function recordFinal(parts: Parts, request: FinalRequest): Promise<UploadRecord> {
  const partials = await findPartials(parts, request);
  const size = sizeOfAll(partials);
  refuseTooLarge(parts.limits, size ?? partials.reduce((sum, partial) => sum + (partial.size ?? partial.offset), 0));
  const declaration = { ...request.declaration, size };
  return createUpload(parts, { ...request, declaration, kind: 'final' }, null);
}

/** The partials of a request, in order. */
async function findPartials({ catalog }: Parts, { owner, partials }: FinalRequest): Promise<UploadRecord[]> {
  const rows = new Map((await catalog.findUploads([...new Set(partials)])).map((row) => [row.id, row]));
  const found: UploadRecord[] = [];
  for (const id of partials) {
    const row = rows.get(id);
    if (row?.owner !== owner) throw new TidemarkError('partial_not_found');
    if (row.kind !== 'partial') throw new TidemarkError('not_partial');
    if (row.state !== 'receiving') throw new TidemarkError('partial_not_found');
    found.push(row);
  }
  for (const row of new Set(found)) {
    if (row.leftMs <= 0 && !(await catalog.keepWaiting(row.id))) throw new TidemarkError('partial_not_found');
  }
  return found;
}
