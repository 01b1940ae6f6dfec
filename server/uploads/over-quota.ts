/** The refusal of what an owner's quota does not allow: it says what there is, and what takes it up. */
import { type OverQuota, sumOf, type Usage } from '../catalog/quotas.ts';
import { TidemarkError } from './errors.ts';

/** The domain's error. */
export function overQuota(error: OverQuota): TidemarkError {
  const { limit, quota, usage } = error;
  const unit = limit === 'files' && quota.files === 1 ? 'file' : limit;
  const message =
    `The quota of ${quota[limit]} ${unit} has no room for this: ${sumOf(usage)[limit]} are taken${shares(limit, usage)}. ` +
    'There is room again once files are deleted for good or unfinished uploads have ended.';
  return new TidemarkError('over_quota', { message, cause: error });
}

/** How much of it are not files. */
function shares(limit: 'bytes' | 'files', { trash, uploads }: Usage): string {
  const parts = [
    ...(trash[limit] > 0 ? [`${trash[limit]} of them by the trash`] : []),
    ...(uploads[limit] > 0 ? [`${uploads[limit]} by unfinished uploads`] : []),
  ];
  return parts.length > 0 ? `, ${parts.join(' and ')}` : '';
}
