/** Links as the edge sees them: what of their rows is told. */
import type { LinkRecord } from '../catalog/catalog.ts';
import type { LinkState, LinkView, OpenedLink, OpenedTerms } from './contract.ts';

/** What of a link decides whether it can be used. */
export function stateOf({ revokedAt, leftMs, files, downloads, mostDownloads, upload }: LinkRecord): LinkState {
  if (revokedAt !== null) return 'revoked';
  if (leftMs !== null && leftMs <= 0) return 'expired';
  if (upload) {
    const { filesLeft, bytesLeft } = openedTermsOf(upload);
    return filesLeft === 0 || bytesLeft === 0 ? 'used_up' : 'active';
  }
  // A folder is there only as long as there are files below it.
  if (files === 0) return 'empty';
  return mostDownloads !== null && downloads >= mostDownloads ? 'used_up' : 'active';
}

/** For its owner. */
export function linkViewOf(link: LinkRecord): LinkView {
  const { id, name, files, folders, firstName, firstFolder, createdAt, expiresAt, password } = link;
  const { downloads, mostDownloads, lastUsedAt, kind, upload } = link;
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
    kind,
    upload,
  });
}

/** For those who have its secret. */
export function openedLinkOf({ id, name, expiresAt, downloads, mostDownloads, upload }: LinkRecord): OpenedLink {
  const downloadsLeft = mostDownloads === null ? null : Math.max(0, mostDownloads - downloads);
  return Object.freeze({ id, name, expiresAt, downloadsLeft, upload: upload && openedTermsOf(upload) });
}

function openedTermsOf({
  mostBytes,
  sentBytes,
  mostFiles,
  sentFiles,
  ...terms
}: NonNullable<LinkRecord['upload']>): OpenedTerms {
  const left = (most: number | null, sent: number): number | null => (most === null ? null : Math.max(0, most - sent));
  const { mostFileBytes, types } = terms;
  return { bytesLeft: left(mostBytes, sentBytes), filesLeft: left(mostFiles, sentFiles), mostFileBytes, types };
}
