/** Links: recorded, found, listed, changed, revoked. link-files.ts has their files, link-use.ts counts what is done with them. */
import { type Kysely, sql } from 'kysely';
import { type Catalog, CatalogError, type LinkKind, type LinkRecord, type NewLink } from '../catalog.ts';
import type { QueryDialect } from '../dialect.ts';
import type { Tables } from '../schema.ts';
import type { UploadLimits } from '../sent-uploads.ts';
import type { SqlClock } from './clock.ts';
import { treeOf } from './file-rows.ts';
import { prepareDeleteLinkFiles, prepareInsertLinkFiles, prepareMissingFile } from './link-files.ts';
import { prepareDeleteLinkFolders, prepareInsertLinkFolders } from './link-folders.ts';
import { decodeLinkCursor, encodeLinkCursor, selectLinks, toLinkRecord } from './link-rows.ts';
import { type Executor, prepare } from './prepare.ts';

export type LinkQueries = Pick<
  Catalog,
  'createLink' | 'findLink' | 'findOwnLink' | 'listLinks' | 'changeLink' | 'revokeLink'
>;

/** Prepares the queries on links. */
export function createLinkQueries(db: Kysely<Tables>, dialect: QueryDialect, clock: SqlClock): LinkQueries {
  const insert = prepareInsert(db, clock);
  const missingFile = prepareMissingFile(db, dialect);
  const insertFiles = prepareInsertLinkFiles(db);
  const linkFolders = prepareInsertLinkFolders(db);
  const deletions = [prepareDeleteLinkFiles(db), ...prepareDeleteTrashed(db), prepareDeleteLinkFolders(db)];
  const hasMore = prepareHasMore(db, clock);
  /** Links of an owner are counted by one transaction after the other. */
  const takeTurn = (trx: Executor, owner: string) => dialect.hold(trx, `links of ${owner}`, 'alone');
  const select = prepare((by: { secretHash: string }) =>
    selectLinks(db, clock).where('links.secret_hash', '=', by.secretHash),
  );
  const { find, own } = prepareOwn(db, clock);
  const change = prepareChange(db, clock);
  const changeLimits = prepareChangeLimits(db);
  const revoke = prepareRevoke(db, clock);

  return {
    createLink(link, most) {
      return db.transaction().execute(async (trx) => {
        const { id, owner, fileIds, folders } = link;
        await takeTurn(trx, owner);
        if (await hasMore(trx, owner, most - 1)) return 'too_many';
        // Before anything is recorded, as it locks the files: none of them is deleted until this is over.
        const missing = await missingFile(trx, fileIds, owner);
        if (missing !== undefined) return { missing };
        // After the files, as all do that lock both.
        if (folders.length > 0) await dialect.hold(trx, treeOf(owner), 'shared');
        const folderIds = await linkFolders.find(trx, owner, folders);
        if ('missing' in folderIds) return { missingFolder: folderIds.missing };
        await insert.changes(trx, { ...link, ...termsOf(link) });
        await insertFiles(trx, id, fileIds);
        await linkFolders.insert(trx, id, fileIds.length, folderIds);
        return { link: await own(trx, { id, owner }) };
      });
    },

    findLink: async (secretHash) => (await select.rows(db, { secretHash })).map(toLinkRecord)[0],
    findOwnLink: (id, owner) => find(db, { id, owner }),
    ...createListLinks(db, clock),

    changeLink(id, owner, { name, lifeMs, mostDownloads, limits = {} }, most) {
      return unlessTooMany(db, async (trx) => {
        const values = {
          setsName: Number(name !== undefined),
          name: name ?? null,
          setsLife: Number(lifeMs !== undefined),
          lifeMs: lifeMs ?? null,
          setsMost: Number(mostDownloads !== undefined),
          mostDownloads: mostDownloads ?? null,
        };
        const mayBeginAgain = lifeMs !== undefined || mostDownloads !== undefined;
        if (mayBeginAgain) await takeTurn(trx, owner);
        if ((await change.changes(trx, { id, owner, ...values })) === 0) return undefined;
        if (Object.keys(limits).length > 0) await changeLimits(trx, id, limits);
        const link = await own(trx, { id, owner });
        if (mayBeginAgain && !hasEnded(link) && (await hasMore(trx, owner, most))) throw new TooManyLinks();
        return link;
      });
    },

    revokeLink(id, owner) {
      return db.transaction().execute(async (trx) => {
        const isRevoked = (await revoke.changes(trx, { id, owner })) === 1;
        for (const deletion of isRevoked ? deletions : []) await deletion.changes(trx, { id });
        return isRevoked;
      });
    },
  };
}

/** Prepares the lookups of an owner's link; `own` of one that must be there. */
function prepareOwn(db: Kysely<Tables>, clock: SqlClock) {
  const select = prepare((by: { id: string; owner: string }) =>
    selectLinks(db, clock).where('links.id', '=', by.id).where('links.owner', '=', by.owner),
  );

  async function find(executor: Executor, by: { id: string; owner: string }): Promise<LinkRecord | undefined> {
    const link = await select.first(executor, by);
    return link && toLinkRecord(link);
  }

  async function own(executor: Executor, by: { id: string; owner: string }): Promise<LinkRecord> {
    const link = await find(executor, by);
    if (!link) throw new CatalogError('failed', `link ${by.id} was not recorded`);
    return link;
  }

  return { find, own };
}

/** Prepares the deletion of what the trash keeps of a link. */
function prepareDeleteTrashed(db: Kysely<Tables>) {
  return [
    prepare((by: { id: string }) => db.deleteFrom('trash_links').where('link_id', '=', by.id)),
    prepare((by: { id: string }) => db.deleteFrom('trash_link_folders').where('link_id', '=', by.id)),
  ];
}

function prepareRevoke(db: Kysely<Tables>, clock: SqlClock) {
  return prepare((by: { id: string; owner: string }) =>
    db
      .updateTable('links')
      .set({ revoked_at: clock.wall })
      .where('id', '=', by.id)
      .where('owner', '=', by.owner)
      .where('revoked_at', 'is', null),
  );
}

/** Prepares the change of an upload link's limits; those that are left out stay. */
function prepareChangeLimits(db: Kysely<Tables>) {
  const setLimits = prepare((by: UploadLimits & { id: string }) =>
    db
      .updateTable('links')
      .set({ most_bytes: by.mostBytes, most_files: by.mostFiles, most_file_bytes: by.mostFileBytes })
      .where('id', '=', by.id)
      .where('kind', '=', sql.lit<LinkKind>('upload')),
  );
  const selectLimits = prepare((by: { id: string }) =>
    db
      .selectFrom('links')
      .select(['most_bytes as mostBytes', 'most_files as mostFiles', 'most_file_bytes as mostFileBytes'])
      .where('id', '=', by.id),
  );

  // The row is locked: another change of it has just preceded.
  return async function changeLimits(trx: Executor, id: string, limits: Partial<UploadLimits>): Promise<void> {
    const before = await selectLimits.first(trx, { id });
    if (before) await setLimits.changes(trx, { ...before, ...limits, id });
  };
}

/** Ends a transaction, so that nothing of it stays. */
class TooManyLinks extends Error {}

async function unlessTooMany<T>(db: Kysely<Tables>, run: (trx: Executor) => Promise<T>): Promise<T | 'too_many'> {
  try {
    return await db.transaction().execute(run);
  } catch (error) {
    if (error instanceof TooManyLinks) return 'too_many';
    throw error;
  }
}

function hasEnded({ leftMs, downloads, mostDownloads }: LinkRecord): boolean {
  return (leftMs !== null && leftMs <= 0) || (mostDownloads !== null && downloads >= mostDownloads);
}

/** Prepares the question whether an owner has more links than `count` that have not ended. */
function prepareHasMore(db: Kysely<Tables>, clock: SqlClock) {
  // Reads no more rows than it has to.
  const selectNext = prepare((by: { owner: string; count: number }) =>
    db
      .selectFrom('links')
      .select('id')
      .where('owner', '=', by.owner)
      .where('revoked_at', 'is', null)
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', clock.earliest)]))
      .where((eb) => eb.or([eb('most_downloads', 'is', null), eb('downloads', '<', eb.ref('most_downloads'))]))
      .limit(1)
      .offset(by.count),
  );
  return async (executor: Executor, owner: string, count: number): Promise<boolean> =>
    (await selectNext.first(executor, { owner, count })) !== undefined;
}

/** Prepares `listLinks`. */
function createListLinks(db: Kysely<Tables>, clock: SqlClock): Pick<Catalog, 'listLinks'> {
  const newestFirst = selectLinks(db, clock).orderBy('links.created_at', 'desc').orderBy('links.id', 'desc');
  const selectFirst = prepare((by: { owner: string; limit: number }) =>
    newestFirst.where('links.owner', '=', by.owner).limit(by.limit),
  );
  const selectAfter = prepare((by: { owner: string; createdAt: number; id: string; limit: number }) =>
    newestFirst
      .where('links.owner', '=', by.owner)
      .where((eb) => eb(eb.refTuple('links.created_at', 'links.id'), '<', eb.tuple(by.createdAt, by.id)))
      .limit(by.limit),
  );

  return {
    async listLinks({ owner, limit, cursor }) {
      // One more row than requested: where it exists, another page follows.
      const rows =
        cursor === undefined
          ? await selectFirst.rows(db, { owner, limit: limit + 1 })
          : await selectAfter.rows(db, { owner, ...decodeLinkCursor(cursor), limit: limit + 1 });
      const links = rows.slice(0, limit).map(toLinkRecord);
      const last = links.at(-1);
      return { links, nextCursor: last && rows.length > limit ? encodeLinkCursor(last) : null };
    },
  };
}

/** The columns that only an upload link has. */
function termsOf({ upload }: NewLink) {
  const { folder = null, mostBytes = null, mostFiles = null, mostFileBytes = null, types = null } = upload ?? {};
  return { folder, mostBytes, mostFiles, mostFileBytes, types: types === null ? null : JSON.stringify(types) };
}

function prepareInsert(db: Kysely<Tables>, clock: SqlClock) {
  return prepare((link: Omit<NewLink, 'fileIds' | 'folders' | 'upload'> & ReturnType<typeof termsOf>) =>
    db.insertInto('links').values({
      id: link.id,
      owner: link.owner,
      kind: link.kind,
      secret_hash: link.secretHash,
      name: link.name,
      created_at: clock.wall,
      // Null plus something is null.
      expires_at: sql<number | null>`${clock.latest} + ${link.lifeMs}`,
      password: link.password,
      most_downloads: link.mostDownloads,
      folder: link.folder,
      most_bytes: link.mostBytes,
      most_files: link.mostFiles,
      most_file_bytes: link.mostFileBytes,
      types: link.types,
    }),
  );
}

interface ChangeValues {
  id: string;
  owner: string;
  // Each 0 or 1.
  setsName: number;
  setsLife: number;
  setsMost: number;
  name: string | null;
  lifeMs: number | null;
  mostDownloads: number | null;
}

function prepareChange(db: Kysely<Tables>, clock: SqlClock) {
  return prepare((by: ChangeValues) =>
    db
      .updateTable('links')
      .set({
        name: sql<string | null>`case when ${by.setsName} = 1 then ${by.name} else name end`,
        expires_at: sql<
          number | null
        >`case when ${by.setsLife} = 1 then ${clock.latest} + ${by.lifeMs} else expires_at end`,
        most_downloads: sql<
          number | null
        >`case when ${by.setsMost} = 1 then ${by.mostDownloads} else most_downloads end`,
      })
      .where('id', '=', by.id)
      .where('owner', '=', by.owner)
      .where('revoked_at', 'is', null),
  );
}
