/** A service's catalog and store, brought by hand to a state that a death between two steps leaves. */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { ledgerOf } from '../../server/service-places.ts';
import { bindPlace } from '../../server/belonging.ts';
import type { Catalog, UploadRecord } from '../../server/catalog/catalog.ts';
import { closedCatalog, openCatalog } from '../../server/catalog/catalogs.ts';
import { parseConfig } from '../../server/config/parse.ts';
import type { DigestPool } from '../../stores/digests/digests.ts';
import { createDigestPool } from '../../stores/digests/pool.ts';
import type { Store } from '../../stores/store.ts';
import { openStore } from '../../stores/stores.ts';
import { md5 } from '../harness/bytes.ts';
import { RESOLVE_HERE } from '../harness/oss/lookup-here.ts';
import { makeTempFolder } from '../harness/temp-folder.ts';

// This process reaches the double of OSS by its name.
await import(RESOLVE_HERE);

/** Where a service is to run. */
export interface House {
  /** Its data folder. */
  folder: string;
  /** Its settings. */
  env: NodeJS.ProcessEnv;
}

export interface Open extends House {
  catalog: Catalog;
  store: Store;
  digests: DigestPool;
}

/** How far a publication came: all bytes committed, made final, or recorded. */
export type Step = 'received' | 'final' | 'published';

/** Works on catalog and store as the service does, while no service runs on them. */
export async function prepare(env: NodeJS.ProcessEnv, work: (house: Open) => Promise<void>): Promise<House> {
  const folder = await makeTempFolder();
  const settings = parseConfig({ ...env, DATA_DIR: folder });
  const catalog = await openCatalog(settings.database, {});
  const digests = createDigestPool(['md5']);
  const store = await openStore(settings.store, {
    dataDir: folder,
    ledger: ledgerOf(catalog),
  });
  const options = { known: closedCatalog(settings.database), adopt: false, log: { warn: () => undefined } };
  if (store.place) await bindPlace(catalog, store.place, options);
  try {
    await work({ folder, env, catalog, store, digests });
  } finally {
    await store.close();
    await digests.close();
    await catalog.close();
  }
  return { folder, env };
}

/** Takes an upload as far as `step`, with what of its bytes was committed; its id. */
export async function leaveAt(
  step: Step,
  { catalog, store, digests }: Open,
  bytes: Buffer,
  filename: string,
  { committed = bytes, livesMs = 60_000 }: { committed?: Buffer; livesMs?: number } = {},
): Promise<string> {
  const id = randomUUID();
  const declared = {
    size: bytes.length,
    md5: md5(bytes),
    sha1: null,
    sha256: null,
    filename,
    filetype: null,
    metadata: '',
  };
  await catalog.createUpload({
    ...declared,
    id,
    owner: 'anyone',
    lifeMs: livesMs,
    holder: 'a node',
    phase: 'receiving',
  });
  const upload = (await catalog.findUpload(id)) as UploadRecord;
  await store.createUpload(upload);
  await store.writeUpload(Readable.from([committed]), upload, {
    digests,
    signal: new AbortController().signal,
    maxBytes: bytes.length,
    commit: async (commit) => {
      await catalog.commitOffset({ id, epoch: 1, ...commit, idleMs: 0, lifeMs: livesMs });
    },
  });
  if (step === 'received') return id;
  const received = (await catalog.findUpload(id)) as UploadRecord;
  const key = store.keyFor(received, { md5: md5(bytes), variant: 0 });
  await store.finalize(received, key);
  if (step === 'final') return id;
  const file = { id: randomUUID(), owner: 'anyone', name: filename, type: null };
  const content = { md5: md5(bytes), sha1: null, sha256: null, size: bytes.length, variant: 0, key };
  await catalog.publish({ uploadId: id, epoch: 1, content, file });
  return id;
}
