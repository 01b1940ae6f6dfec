/** Links as the edge sees them: what of their rows is told. */
import type { LinkRecord } from '../catalog/catalog.ts';
import type { LinkState, LinkView, OpenedLink } from './contract.ts';

/** What of a link decides whether it can be used. */
export function stateOf({ revokedAt, leftMs, files, downloads, mostDownloads }: LinkRecord): LinkState {
  if (revokedAt !== null) return 'revoked';
  if (leftMs !== null && leftMs <= 0) return 'expired';
  // A folder is there only as long as there are files below it.
  if (files === 0) return 'empty';
  return mostDownloads !== null && downloads >= mostDownloads ? 'used_up' : 'active';
}

/** For its owner. */
export function linkViewOf(link: LinkRecord): LinkView {
  const {
    id,
    name,
    files,
    folders,
    firstName,
    firstFolder,
    createdAt,
    expiresAt,
    password,
    downloads,
    mostDownloads,
    lastUsedAt,
  } = link;
  return Object.freeze({
    id,
    state: stateOf(link),
    name,
    files,
    folders,
    firstName,
    firstFolder,
    createdAt,
    expiresAt,
    hasPassword: password !== null,
    downloads,
    mostDownloads,
    lastUsedAt,
  });
}

/** For those who have its secret. */
export function openedLinkOf({ id, name, expiresAt, downloads, mostDownloads }: LinkRecord): OpenedLink {
  const downloadsLeft = mostDownloads === null ? null : Math.max(0, mostDownloads - downloads);
  return Object.freeze({ id, name, expiresAt, downloadsLeft });
}
