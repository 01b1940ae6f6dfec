/** What an owner has and may have, over HTTP. See docs/decisions/0071-quotas.md. */
import type Router from '@koa/router';
import type { Quotas, QuotaView } from '../uploads/quotas.ts';
import type { QuotaJson } from '../wire/quota.ts';
import type { RequestState } from './state.ts';

/** Adds `/api/quota`. */
export function addQuotaRoute(router: Router<RequestState>, quotas: Quotas): void {
  router.get('/api/quota', async (ctx) => {
    const found = await quotas.of(ctx.state.owner);
    ctx.set('Cache-Control', 'no-store');
    ctx.body = describeQuota(found);
  });
}

function describeQuota({ quota, used, usage: { files, trash, uploads } }: QuotaView): QuotaJson {
  return {
    bytes: { used: used.bytes, limit: quota.bytes },
    files: { used: used.files, limit: quota.files },
    openUploads: { used: uploads.open, limit: quota.openUploads },
    of: { files, trash, uploads: { files: uploads.files, bytes: uploads.bytes } },
  };
}
