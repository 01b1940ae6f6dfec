/** What becomes of links with time: pauses after wrong passwords, tickets, and attempts at once on two nodes. */
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Catalog, CatalogError } from '../../server/catalog/catalog.ts';
import type { Links } from '../../server/links/contract.ts';
import { createLinks } from '../../server/links/links.ts';
import { hashOfSecret } from '../../server/links/secret-hash.ts';
import type { Uploads } from '../../server/uploads/contract.ts';
import { type Surroundings, SYSTEM } from '../../stores/surroundings.ts';
import type { TestCatalog } from '../catalog/contract.ts';
import { addPublished, addUpload, newContent } from '../catalog/fixtures.ts';
import { CATALOG_GROUNDS } from '../catalog/grounds.ts';
import { makePasswordsCheap } from '../harness/cheap-passwords.ts';

const MINUTE = 60_000;
const PASSWORD = 'Ebbe und Flut';

makePasswordsCheap();

describe.each(CATALOG_GROUNDS.filter(({ isOtherWay }) => isOtherWay !== true))(
  'links over $name',
  ({ isHere, open }) => {
    describe.skipIf(!isHere)('here', () => {
      let current: TestCatalog;
      let links: Links;
      /** Another node, over the same catalog. */
      let other: Links;
      let fileId: string;
      beforeEach(async () => {
        const opened = await open();
        onTestFinished(() => opened.dispose());
        current = opened;
        const secret = await opened.catalog.eventSecret();
        [links, other] = [0, 1].map(() => createLinks({ catalog: opened.catalog, surroundings: SYSTEM }, secret)) as [
          Links,
          Links,
        ];
        fileId = (await addPublished(opened.catalog, newContent('c'))).id;
      });

      async function pass(ms: number): Promise<void> {
        current.clock.nowMs += ms;
        // A process asks the database for the time now and then.
        await current.catalog.keepTime();
      }

      async function share(given: { password?: string; mostDownloads?: number } = {}): Promise<string> {
        const request = {
          owner: 'ann',
          files: [fileId],
          folders: [],
          name: null,
          lifeMs: null,
          password: null,
          mostDownloads: null,
        };
        return (await links.create({ ...request, ...given })).secret;
      }

      test('ten wrong passwords, on two nodes at once: the right one is taken after the pause', async () => {
        const secret = await share({ password: PASSWORD });
        const before = await current.catalog.findLink(hashOfSecret(secret) ?? '');
        const wrong = await Promise.allSettled(
          Array.from({ length: 11 }, (_, index) => (index % 2 ? links : other).unlock(secret, `wrong ${index}`)),
        );
        const codes = wrong.map((one) => (one.status === 'rejected' ? (one.reason as { code: string }).code : 'taken'));
        expect(codes.filter((code) => code === 'wrong_password')).toHaveLength(10);
        expect(codes.filter((code) => code === 'too_many_attempts')).toHaveLength(1);
        // One that has looked at the link before the tenth is counted after it: neither is the right one let in.
        const catalog: Catalog = { ...current.catalog, findLink: async () => before };
        const late = createLinks({ catalog, surroundings: SYSTEM }, await current.catalog.eventSecret());
        await expect(late.unlock(secret, PASSWORD)).rejects.toMatchObject({ code: 'too_many_attempts' });
        await pass(15 * MINUTE - 1000);
        await expect(links.unlock(secret, PASSWORD)).rejects.toMatchObject({
          code: 'too_many_attempts',
          retryAfterMs: 1000,
        });
        await pass(1000);
        expect(await other.unlock(secret, PASSWORD)).toMatchObject({ ticket: { lifeMs: 60 * MINUTE } });
        // Forgotten are the wrong ones, not that passwords are counted.
        await expect(links.unlock(secret, 'wrong again')).rejects.toMatchObject({ code: 'wrong_password' });
      });

      test('tickets count on every node, for as long as they say, for one link and one thing', async () => {
        const [secret, another] = [
          await share({ password: PASSWORD, mostDownloads: 1 }),
          await share({ password: PASSWORD }),
        ];
        const ticket = (await links.unlock(secret, PASSWORD)).ticket?.text ?? '';
        expect((await other.open(secret, ['x', ticket])).link.downloadsLeft).toBe(1);
        for (const forged of [ticket.replace(/^\d+/, (at) => String(Number(at) + 1)), `${ticket}x`, ''])
          await expect(links.open(secret, [forged])).rejects.toMatchObject({ code: 'password_required' });
        await expect(links.open(another, [ticket])).rejects.toMatchObject({ code: 'password_required' });
        const begun = await (await links.openFile(secret, 1, [ticket])).begin('whole');
        const download = begun.ticket ?? '';
        // By it alone, on another node: the link is used up, and no password is asked for.
        await pass(61 * MINUTE);
        await expect(links.openFile(secret, 1, [ticket])).rejects.toMatchObject({ code: 'link_used_up' });
        const rest = await (await other.openFile(secret, 1, [download])).begin('rest');
        expect(rest.ticket).toBeNull();
        await expect(links.open(secret, [download])).rejects.toMatchObject({ code: 'link_used_up' });
        await expect(links.openArchive(secret, [download])).rejects.toMatchObject({ code: 'link_used_up' });
        await expect((await other.openFile(secret, 1, [download])).begin('whole')).rejects.toMatchObject({
          code: 'link_used_up',
        });
        // Not a byte was sent: it is as if it had not begun.
        await begun.giveBack();
        await expect(links.openFile(secret, 1, [])).rejects.toMatchObject({ code: 'password_required' });
        expect((await links.openFile(secret, 1, [download])).link.downloadsLeft).toBe(1);
        await pass(24 * 60 * MINUTE);
        await expect(links.openFile(secret, 1, [download])).rejects.toMatchObject({ code: 'password_required' });
      });

      test('an archive has the files of the folder that was shared, whatever comes to its path while it is prepared', async () => {
        const { catalog } = current;
        for (const name of ['f/mine.txt', 'g/another.txt']) await addPublished(catalog, newContent(name), { name });
        const given = { owner: 'ann', name: null, lifeMs: null, password: null, mostDownloads: null };
        const { secret } = await links.create({ ...given, files: [fileId], folders: ['f'] });
        const { archive } = await other.openArchive(secret, []);
        expect(archive.count).toBe(2);
        const list = async (): Promise<string[]> => (await archive.list(10)).map(({ name }) => name);
        expect(await list()).toEqual(['f/mine.txt', 'a.txt']);
        await catalog.moveFolder('ann', 'f', 'moved');
        await catalog.moveFolder('ann', 'g', 'f');
        expect(await list()).toEqual(['moved/mine.txt', 'a.txt']);
        await catalog.deleteBelow('ann', 'moved');
        expect(await list()).toEqual(['a.txt']);
      });

      async function requestFiles(
        given: { password?: string; lifeMs?: number } = {},
      ): Promise<{ id: string; secret: string }> {
        const upload = { folder: 'inbox', mostBytes: null, mostFiles: null, mostFileBytes: null, types: null };
        const none = { name: null, lifeMs: null, password: null, mostDownloads: null };
        const made = await links.create({ owner: 'ann', files: [], folders: [], ...none, upload, ...given });
        return { id: made.link.id, secret: made.secret };
      }

      test('senders who look at a link with a password now and then are not asked for that again', async () => {
        const { secret } = await requestFiles({ password: PASSWORD });
        let ticket = (await links.unlock(secret, PASSWORD)).ticket?.text ?? '';
        for (let round = 0; round < 3; round += 1) {
          await pass(50 * MINUTE);
          const renewed = (await other.open(secret, [ticket])).ticket;
          expect(renewed).toMatchObject({ lifeMs: 60 * MINUTE });
          ticket = renewed?.text ?? '';
        }
        await pass(61 * MINUTE);
        await expect(links.open(secret, [ticket])).rejects.toMatchObject({ code: 'password_required' });
        const [free, download] = [(await requestFiles()).secret, await share({ password: PASSWORD })];
        expect((await links.open(free, [])).ticket).toBeNull();
        const known = (await links.unlock(download, PASSWORD)).ticket?.text ?? '';
        expect((await links.open(download, [known])).ticket).toBeNull();
      });

      test('a running request of a sender ends with its link, also after the catalog could not be asked for a while', async () => {
        const { id, secret } = await requestFiles();
        let looks = 0;
        const catalog: Catalog = {
          ...current.catalog,
          findLink: (hash) => {
            looks += 1;
            if (looks > 3 && looks < 6) throw new CatalogError('unavailable', 'away');
            return current.catalog.findLink(hash);
          },
        };
        const surroundings: Surroundings = { ...SYSTEM, wait: (_ms, options) => SYSTEM.wait(1, options) };
        const uploadId = await addUpload(current.catalog, { sent: { linkId: id, sender: null, note: null } });
        const until = (signal: AbortSignal | undefined): Promise<never> =>
          new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)));
        const receiving = {
          upload: { id: uploadId, filename: null, fileId: null, size: 10, expectedSize: null, offset: 0 },
          append: (_source: unknown, { signal }: { signal?: AbortSignal }) => until(signal),
        };
        const uploads = { open: async () => receiving } as unknown as Uploads;
        const flaky = createLinks({ catalog, surroundings }, await current.catalog.eventSecret());
        const sending = flaky.sending(uploads, secret, [], { sender: null, note: null });
        const writer = await sending.uploads.open(uploadId, '', { signal: new AbortController().signal, offset: 0 });
        const appended = writer.append(Readable.from([]), { maxBytes: 10 }).catch((error: unknown) => error);
        await expect.poll(() => looks).toBeGreaterThan(6);
        await links.revoke(id, 'ann');
        expect(await appended).toMatchObject({ code: 'not_found' });
      });

      test('3 of 50 that begin at once on two nodes', async () => {
        const secret = await share({ mostDownloads: 3 });
        const begun = await Promise.allSettled(
          Array.from({ length: 50 }, async (_, index) =>
            (await (index % 2 ? links : other).openFile(secret, 1, [])).begin(index % 3 ? 'whole' : 'rest'),
          ),
        );
        expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
      });
    });
  },
);
