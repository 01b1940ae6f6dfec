/** Fills a catalog in PostgreSQL with the rows of published files, without bytes. */
import { Client } from 'pg';
import type { TestDatabase } from '../../test/harness/shared-postgres.ts';

/** The owner of most files. */
export const OWNER = 'owner 0';
/** A word in the names of ten of OWNER's files, whatever the number of files. */
export const RARE = 'xylograph';
/** A word in no name. */
export const ABSENT = 'zugzwang';
/** How many rows of each kind of work for jobs there are, whatever the number of other rows. */
const WORK = 100;

/** How large the catalog is. */
export interface Counts {
  files: number;
  /** Open ones. */
  uploads: number;
}

/** Fills the catalog, in one session in which triggers and foreign keys are off. */
export async function fillCatalog(database: TestDatabase, counts: Counts): Promise<void> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  try {
    await client.query(`set session_replication_role = replica; set maintenance_work_mem = '1GB'`);
    // Creating an index afterwards is faster than keeping it up to date.
    const { rows: indexes } = await client.query<{ name: string; definition: string }>(`
      select indexname as name, indexdef as definition from pg_indexes
      where schemaname = current_schema() and tablename in ('contents', 'files', 'uploads')
        and indexname not in (select conname from pg_constraint)`);
    for (const { name } of indexes) await client.query(`drop index ${name}`);
    await client.query(fillContentsAndFiles(counts.files));
    await client.query(fillUploads(counts));
    for (const { definition } of indexes) await client.query(definition);
  } finally {
    await client.end();
  }
  await database.run('vacuum (analyze)');
}

/** Seven of ten files are OWNER's, one content of 20 has two files. Folded names: none has a capital letter. */
function fillContentsAndFiles(files: number): string {
  return `
  insert into contents (md5, sha1, sha256, size, variant, key, published_at)
    select md5(n::text), md5('1 ' || n) || '00000000', null, 1000 + n % 100000, 0, md5(n::text), n
    from generate_series(1, ${files}) as n;
  insert into files (id, owner, name, folded_name, type, uploaded_at, content_id, size)
    select md5('file ' || n)::uuid, case when n % 10 < 7 then '${OWNER}' else 'owner ' || n % 1000 end,
      name, name, 'application/pdf', 1700000000000 + n, n - case when n % 20 = 0 then 1 else 0 end, 1000 + n % 100000
    from generate_series(1, ${files}) as n, lateral (select
      (array['invoice', 'report', 'photo', 'backup', 'holiday', 'contract', 'scan', 'minutes'])[n % 8 + 1]
      || case when n % 1000 = 1 then ' quarterly' else '' end
      || case when n % ${files / 10} = 2 then ' ${RARE}' else '' end
      || ' 20' || 10 + n % 15 || '-' || 10 + n % 3 || '-' || 10 + n % 19 || ' ' || substr(md5('name ' || n), 1, 8)
      || (array['.pdf', '.jpg', '.tar.gz', '.docx'])[n / 8 % 4 + 1]) as of (name);
  insert into owner_shares select owner, 0, count(*), sum(size) from files group by owner;
  insert into events (number, owner, kind, at, file_id, name, uploaded_at, content_id, md5, size)
    select row_number() over (), owner, 'published', (extract(epoch from now()) * 1000)::bigint, id, name, uploaded_at,
      content_id, md5(content_id::text), size
    from (select * from files limit ${files / 10}) as recent;
  update event_numbers set last = ${files / 10}`;
}

/** Open uploads, most of them idle; a tenth as many ended ones; and some work for each job. */
function fillUploads({ uploads }: Counts): string {
  const now = '(extract(epoch from now()) * 1000)::bigint';
  const insert = `insert into uploads (id, owner, state, size, md5, filename, metadata, "offset", epoch, holder, phase,
      store_state, created_at, last_byte_at, expires_at, ended_at)`;
  const row = (prefix: string, state: string, offset: string, expires: string, rest: string, store = 'null') => `
    select md5('${prefix} ' || n)::uuid, case when n % 10 < 7 then '${OWNER}' else 'owner ' || n % 1000 end, '${state}',
      1000000, md5('${prefix} content ' || n), 'video ' || n || '.mp4', '', ${offset}, 3, 'bench node',
      null, ${store}, ${now} - 86400000, ${now} - 86400000, ${now} + ${expires}, ${rest}`;
  return `
  ${insert} ${row('open', 'receiving', '500000', '86400000 + n', 'null')} from generate_series(1, ${uploads}) as n;
  ${insert} ${row('late', 'receiving', '500000', '-1000 - n', 'null')} from generate_series(1, ${WORK}) as n;
  ${insert} ${row('full', 'receiving', '1000000', '86400000 + n', 'null')} from generate_series(1, ${WORK}) as n;
  ${insert} ${row('ended', 'expired', '500000', '0', `${now} - 1000`)} from generate_series(1, ${uploads / 10}) as n;
  ${insert} ${row('kept', 'expired', '500000', '0', `${now} - 1000`, `'x'`)} from generate_series(1, ${WORK}) as n;
  update uploads set phase = 'receiving' where id in (
    select md5('open ' || n)::uuid::text from generate_series(1, ${WORK}) as n);
  insert into removals (key, md5) select 'gone ' || n, md5('gone ' || n) from generate_series(1, ${WORK}) as n`;
}
