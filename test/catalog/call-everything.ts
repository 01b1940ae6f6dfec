/** Calls to a catalog that run all of its queries. */
import type { Catalog, FileSort, FolderPage } from '../../server/catalog/catalog.ts';
import { NO_QUOTA, type Quota } from '../../server/catalog/quotas.ts';
import { newLink } from './contract-links.ts';
import { newUploadLink } from './contract-sent-uploads.ts';
import {
  aboutNode,
  addPublished,
  addUpload,
  commitTo,
  giveFile,
  md5Of,
  newContent,
  newFile,
  nextLease,
} from './fixtures.ts';

/** Of everybody, where quotas are kept. */
export const SOME_QUOTA: Quota = { ...NO_QUOTA, files: 1000, bytes: 1_000_000 };

/** Calls what keeps quotas of a catalog whose owners have `SOME_QUOTA`. */
export async function callWithQuotas(catalog: Catalog): Promise<void> {
  const partial = await addUpload(catalog, { kind: 'partial', size: null });
  await addUpload(catalog, { kind: 'final', size: null, partials: [partial] });
  await catalog.declareLength(partial, 1, 10);
}

/** Calls every method of the catalog, and each of the ways a method can go. */
export async function callEverything(catalog: Catalog): Promise<void> {
  const part = { number: 1, start: 0, size: 100, etag: 'e', snapshot: Buffer.from('s') };
  const md5 = md5Of('c');
  const id = await addUpload(catalog, { md5, size: null });
  await nextLease(catalog, id);
  await catalog.declareLength(id, 2, 100);
  await catalog.commitOffset(commitTo(id, 10, { epoch: 2 }));
  await catalog.commitOffset(commitTo(id, 100, { epoch: 2, parts: [part] }));
  await catalog.listParts(id);
  await catalog.findReceiving({ md5, owner: 'ann', size: null, sha256: null, minOffset: 0 });
  await catalog.findReceiving({ md5, owner: 'bob', size: 1, sha256: null, minOffset: 1 });
  await catalog.listExpired(null, 10);
  await catalog.listUnpublished(null, 10);
  await catalog.filterReceiving([id, 'another']);
  const { content } = await addPublished(catalog, newContent('c'));
  await addPublished(catalog, { id: content.id }, { name: 'a.md' });
  const again = await addUpload(catalog, { size: null });
  await catalog.publish({
    uploadId: again,
    epoch: 1,
    content: { id: content.id },
    file: newFile(),
  });
  await addPublished(catalog, { id: content.id, key: 'healed' });
  await catalog.findUpload(id);
  await catalog.endUpload(id, 2, 'terminated', null);
  await catalog.forgetEnded(0, 10);
  const partial = await addUpload(catalog, { kind: 'partial' });
  const final = await addUpload(catalog, { kind: 'final', partials: [partial, partial] });
  await catalog.findUploads([partial, final]);
  await catalog.listPartials(final);
  await catalog.listFinalsOf(partial);
  await catalog.listFinalsDue(null, 10);
  await catalog.keepWaiting(partial);
  await catalog.endUpload(final, null, 'terminated', null);
  await catalog.listFinalsToRelease(10);
  await catalog.releasePartials(final, 10);
  await catalog.findContents({ md5 });
  await catalog.findContents({ sha1: 'a' });
  await catalog.findContents({ sha256: 'a' });
  await catalog.ownsContent('ann', content.id);
  await catalog.addDigests(content.id, { sha1: 'a' });
  await catalog.listOwnWithoutSha1('ann', 10);
  await catalog.proofOf(content.id);
  await catalog.noteProof(content.id, { proof: 'p' });
  const file = await giveFile(catalog, content.id, { name: 'new' });
  await catalog.findFile(file?.id ?? '', 'ann');
  await catalog.findFile(file?.id ?? '', null);
  await catalog.findFiles([file?.id ?? ''], 'ann');
  await catalog.findFiles([file?.id ?? ''], null);
  await catalog.findFileOfContent(content.id, 'ann', 'oldest');
  await catalog.findFileOfContent(content.id, 'ann', 'latest');
  await catalog.renameFile(file?.id ?? '', 'ann', 'newer', null);
  for (const sort of ['uploaded', 'name', 'size'] satisfies FileSort[]) {
    for (const descending of [false, true]) {
      for (const search of [{}, { search: 'A.' }]) {
        const query = { owner: 'ann', limit: 1, sort, descending, ...search };
        const { nextCursor } = await catalog.listFiles({ ...query });
        await catalog.listFiles({ ...query, cursor: nextCursor ?? '' });
        await catalog.listFiles({ ...query, search: 'absent' });
        await catalog.listFiles({ ...query, search: 'absent', cursor: nextCursor ?? '' });
      }
    }
  }
  await callLinks(catalog, file?.id ?? '');
  await callSentUploads(catalog);
  await callFolders(catalog, content.id);
  await callTrash(catalog);
  await catalog.usageOf('ann');
  const { files } = await catalog.listFiles({ owner: 'ann', limit: 10, sort: 'name', descending: false });
  for (const each of files) await catalog.deleteFile(each.id, 'ann');
  const [removal] = await catalog.listRemovals(0, 10);
  await catalog.claimRemoval(removal?.key ?? '', 'a', 10);
  await catalog.unclaimRemoval(removal?.key ?? '', 'a');
  await catalog.removalDone(removal?.key ?? '');
  for (const owner of ['ann', null]) {
    await catalog.listEvents({ owner, after: 0, limit: 10 });
    await catalog.latestEvent(owner);
  }
  await catalog.forgetEvents(0, 10);
  await callLeases(catalog);
}

async function callLinks(catalog: Catalog, fileId: string): Promise<void> {
  const link = newLink({ fileIds: [fileId], lifeMs: 10_000, mostDownloads: 1 });
  await catalog.createLink(link, 10);
  await catalog.createLink(newLink({ fileIds: [fileId] }), 10);
  await callLinkFolders(catalog);
  await catalog.findLink(link.secretHash);
  const { nextCursor } = await catalog.listLinks({ owner: 'ann', limit: 1 });
  await catalog.listLinks({ owner: 'ann', limit: 1, cursor: nextCursor ?? '' });
  await catalog.listLinkFiles(link.id);
  await catalog.findLinkFile(link.id, 1);
  await catalog.countDownload(link.id);
  await catalog.giveBackDownload(link.id);
  await catalog.countAttempt(link.id, 10, 10);
  await catalog.forgiveAttempts(link.id);
  await catalog.changeLink(link.id, 'ann', { lifeMs: 5000 }, 10);
  await catalog.revokeLink(link.id, 'ann');
  await catalog.forgetLinks('', 1000, 10);
}

async function callLinkFolders(catalog: Catalog): Promise<void> {
  for (const name of ['l/a', 'l/b', 'l/m/c', 'l/n/d'])
    await addPublished(catalog, newContent(`linked ${name}`), { name });
  const link = newLink({ folders: ['l'] });
  await catalog.createLink(link, 10);
  await catalog.listLinkFolders(link.id);
  const at = { linkId: link.id, position: 1, path: '', limit: 1 };
  for (const after of [null, { among: 'folders', name: 'm' }, { among: 'files', name: 'a' }] as const)
    await catalog.listLinkedLevel({ ...at, after });
  await catalog.listLinkedLevel({ ...at, path: 'm', after: null });
  await catalog.findLinkedFile(link.id, 1, 'm/c');
  await catalog.listAllLinked(link.id, 10);
}

async function callSentUploads(catalog: Catalog): Promise<void> {
  const link = newUploadLink({ mostBytes: 1000 });
  await catalog.createLink(link, 10);
  await catalog.findOwnLink(link.id, 'ann');
  await catalog.changeLink(link.id, 'ann', { limits: { mostFiles: 5 } }, 10);
  const sent = { linkId: link.id, sender: 'bob', note: null };
  const ids: string[] = [];
  for (const size of [null, null, 10]) ids.push(await addUpload(catalog, { size, sent }));
  const [declared = '', expected = '', ended = ''] = ids;
  await catalog.declareLength(declared, 1, 100);
  await catalog.expectLength(expected, 1, 100);
  await catalog.endUpload(ended, 1, 'terminated', null);
  const { nextCursor } = await catalog.listSent({ linkId: link.id, limit: 1 });
  await catalog.listSent({ linkId: link.id, limit: 1, cursor: nextCursor ?? '' });
  await catalog.findSenders(['a file', 'another', 'a third']);
  await catalog.listOpenSent(link.id, 10);
  await catalog.listWithoutLink(null, 10);
}

async function callFolders(catalog: Catalog, contentId: number): Promise<void> {
  const owner = 'ann';
  const names = ['f/a', 'f/b', 'f/g/c', 'f/g/d', 'h/i'];
  for (const name of names) await addPublished(catalog, newContent(`in ${name}`), { name });
  await addPublished(catalog, newContent('in f/a again'), { name: 'f/a' });
  for (const name of ['a.txt', 'f/a']) await catalog.addFile(contentId, newFile({ name, onConflict: 'replace' }));
  await catalog.findFolder(owner, 'f/g');
  await catalog.findNamed(owner, ['a.txt', 'b.txt', 'c', 'f/a', 'f/g/c', 'no/where/x']);
  for (const folder of ['', 'f']) {
    for (const sort of ['uploaded', 'name', 'size'] satisfies FileSort[]) {
      for (const descending of [false, true]) {
        const query = { owner, folder, limit: 2, sort, descending };
        for (let cursor: string | null = null; ;) {
          const page: FolderPage | undefined = await catalog.listFolder(cursor === null ? query : { ...query, cursor });
          cursor = page?.nextCursor ?? null;
          if (cursor === null) break;
        }
      }
    }
    const { nextCursor } = (await catalog.listBelow({ owner, folder, limit: 1 })) ?? {};
    await catalog.listBelow({ owner, folder, limit: 10, cursor: nextCursor ?? '' });
    await catalog.listAllBelow({ owner, folder, most: 10 });
  }
  // Of so many files of one content, those of a name with a number are found by their names.
  for (let index = 0; index < 100; index++) await catalog.addFile(contentId, newFile({ name: `alike ${index}` }));
  await addPublished(catalog, newContent('taken'), { name: 'taken' });
  for (const name of ['taken', 'f/b']) await catalog.addFile(contentId, newFile({ name }));
  await catalog.moveFolder(owner, 'f/g', 'h/longer/g');
  const deleted = await catalog.deleteBelow(owner, 'h');
  if (deleted?.nextCursor) await catalog.deleteBelow(owner, 'h', deleted.nextCursor);
}

async function callTrash(catalog: Catalog): Promise<void> {
  const owner = 'ann';
  const ids: string[] = [];
  for (const name of ['x', 'y', 'z/a', 'z/b'])
    ids.push((await addPublished(catalog, newContent(`in the trash: ${name}`), { name })).id);
  const [first = '', second = ''] = ids;
  await catalog.createLink(newLink({ fileIds: [first] }), 10);
  for (const id of [first, second]) await catalog.deleteFile(id, owner, 'trash');
  await catalog.forgetLinks('', 1000, 10);
  const deleted = await catalog.deleteBelow(owner, 'z', undefined, 'trash');
  const { nextCursor } = await catalog.listTrash({ owner, limit: 1 });
  const { files } = await catalog.listTrash({ owner, limit: 1, cursor: nextCursor ?? '' });
  await catalog.trashTotalOf(owner);
  await catalog.ownsOrTrashed(owner, files[0]?.content.id ?? 0);
  await catalog.hasFiles(files[0]?.content.id ?? 0);
  await catalog.restoreTrashed(owner, { ids: [first] });
  await catalog.restoreTrashed(owner, { deletion: deleted?.deletion ?? '' });
  await catalog.deleteTrashed(owner, { ids: [second] });
  await catalog.deleteTrashed(owner, { until: 0 });
  await catalog.purgeTrash(0);
}

async function callLeases(catalog: Catalog): Promise<void> {
  await catalog.joinNode('a', aboutNode());
  await catalog.listNodes();
  await catalog.beatNode('a');
  await catalog.isNodeAlive('a');
  const id = await addUpload(catalog, { holder: 'a', phase: 'receiving' });
  await catalog.markPublishing(id, 1);
  await catalog.noteArrivals([{ id, epoch: 1, idleMs: 0 }]);
  await catalog.ask('a', { uploadId: id, what: 'release', epoch: 1 });
  await catalog.takeAsks('a');
  await catalog.releaseLease(id, 1, { isRecovered: true });
  await catalog.releaseLease(id, 1, { isRecovered: false });
  await catalog.listAbandoned(null, 10);
  await catalog.abandonedMark();
  await catalog.claim('work', 'a', 10);
  await catalog.unclaim('work', 'a');
  await catalog.leaveNode('a');
  await catalog.forgetNodes();
  await catalog.forgetClaims();
}
