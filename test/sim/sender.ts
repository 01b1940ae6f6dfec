/** Requests of a client and their answers: both are recorded in the model. */
import { createHash } from 'node:crypto';
import type { Declaration } from '../../server/catalog/catalog.ts';
import type { ExpectedChecksum } from '../../server/uploads/checksums.ts';
import { md5 as md5Of } from '../harness/bytes.ts';
import { download, form, head, patch, post, remove, type Sent, type Told } from './edge.ts';
import type { Plan, UploadModel } from './model.ts';
import type { Answer, Body } from './network.ts';
import type { SimNode } from './node.ts';
import type { Actor } from './scheduler.ts';
import type { World } from './world.ts';

const OWNERS = ['ann', 'bob'];
const PATIENCE_MS = [500, 20_000, 60_000];
const LARGEST_CHUNK_BYTES = 90;

export interface Sender {
  begin(): Promise<{ id: string; owner: string; plan: Plan; told: Told | null } | undefined>;
  look(id: string, owner: string): Promise<Answer<Told>>;
  /** Sends what is missing, or a part of it; null where it does not know what became of it. */
  sendFrom(id: string, owner: string, plan: Plan, offset: number): Promise<Told | null>;
  sendForm(): Promise<void>;
  check(owner: string): Promise<void>;
  readBack(fileId: string, owner: string): Promise<void>;
  removeFile(fileId: string, owner: string): Promise<void>;
  removeUpload(id: string, owner: string): Promise<void>;
}

export function createSender(world: World, client: Actor): Sender {
  const { chance, model, checks, network } = world;
  let home = world.anyNode();

  function nextNode(): SimNode {
    if (!home.isReady || home.isGone || chance.happens(0.3)) home = world.anyNode();
    return home;
  }

  async function ask<T>(
    label: string,
    handle: Parameters<typeof network.request<T>>[0]['handle'],
    more: { body?: Body; onChunk?: () => void } = {},
  ): Promise<Answer<T>> {
    const patienceMs = world.isCalm ? Infinity : chance.pick(PATIENCE_MS);
    const node = nextNode();
    const answer = await network.request<T>({ client, node, label, handle, patienceMs, ...more });
    // As a load balancer does with a node that does not answer.
    if (answer.kind !== 'ok') home = world.anyNode();
    return answer;
  }

  function makePlan(): { name: string; owner: string; plan: Plan; declaration: Declaration } {
    const bytes = chance.pick(world.contents);
    const isWrong = chance.happens(0.05);
    const md5 = chance.happens(0.7) ? md5Of(isWrong ? Buffer.concat([bytes, bytes, Buffer.from('x')]) : bytes) : null;
    const plan: Plan = { bytes, md5, mayBeRejected: isWrong, isMixed: false };
    const name = `file-${model.plans.size + 1}`;
    model.plans.set(name, plan);
    const size = chance.happens(0.2) ? null : bytes.length;
    const declaration = { size, md5, sha1: null, sha256: null, filename: name, filetype: null, metadata: '' };
    return { name, owner: chance.pick(OWNERS), plan, declaration };
  }

  /** Bytes for a request, cut into chunks; now and then they are not those that were declared. */
  function makeBody(plan: Plan, offset: number): { bytes: Buffer; body: Body } {
    let bytes = plan.bytes.subarray(offset);
    if (bytes.length > 0 && !world.isCalm && chance.happens(world.weather.mixing)) {
      const salt = 1 + chance.below(255);
      bytes = Buffer.from(bytes.map((byte) => byte ^ salt));
      plan.isMixed = true;
      plan.mayBeRejected = true;
    }
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const to = Math.min(bytes.length, at + 1 + chance.below(LARGEST_CHUNK_BYTES));
      chunks.push(bytes.subarray(at, to));
      at = to;
    }
    if (world.isCalm || chance.happens(0.45)) return { bytes, body: { chunks, end: 'end' } };
    const some = chunks.slice(0, chance.below(chunks.length + 1));
    return { bytes, body: { chunks: some, end: chance.pick(['end', 'close', 'silence']) } };
  }

  /**
   * The checksum of a request, now and then. It may not match: then its bytes are others than they should be, and none of them
   * may ever count.
   */
  function withChecksum({ bytes, body }: { bytes: Buffer; body: Body }): { body: Body; checksum?: ExpectedChecksum } {
    if (!chance.happens(0.25)) return { body };
    const expected = createHash('sha1').update(bytes).digest();
    const isBroken = !world.isCalm && bytes.length > 0 && chance.happens(0.3);
    const chunks = isBroken ? body.chunks.map((chunk) => chunk.map((byte) => byte ^ 1)) : body.chunks;
    return { body: { ...body, chunks }, checksum: { algorithm: 'sha1', expected } };
  }

  function note(id: string): UploadModel | undefined {
    const upload = model.uploads.get(id);
    if (upload) upload.activity++;
    return upload;
  }

  /** What a node is about to answer of an upload. */
  function toldBy(told: Told, least: number): Told {
    checks.told(told.id, told.offset, least);
    if (told.fileId !== null) checks.toldFile(told.fileId);
    return told;
  }

  async function begin(): ReturnType<Sender['begin']> {
    const { name, owner, plan, declaration } = makePlan();
    const bringsBody = plan.bytes.length > 0 && chance.happens(0.4);
    const { bytes, body } = bringsBody ? makeBody(plan, 0) : { bytes: plan.bytes, body: undefined };
    const size = declaration.size ?? 'unknown size';
    const answer = await ask<Told>(
      `POST ${name} of ${size}`,
      async (node, connection) => {
        const told = toldBy(await post(node, connection, { owner, declaration, bringsBody }), 0);
        if (bringsBody) checks.stored(told.id, 0, told.offset, bytes);
        return told;
      },
      body ? { body } : {},
    );
    return answer.kind === 'ok' ? { id: answer.value.id, owner, plan, told: answer.value } : undefined;
  }

  function look(id: string, owner: string): Promise<Answer<Told>> {
    const least = model.uploads.get(id)?.told ?? 0;
    return ask(`HEAD ${id}`, async (node) => toldBy(await head(node, { id, owner }), least));
  }

  async function sendFrom(id: string, owner: string, plan: Plan, offset: number): Promise<Told | null> {
    const made = makeBody(plan, offset);
    const { bytes } = made;
    const { body, checksum } = withChecksum(made);
    const isWhole = body.end === 'end' && offset + lengthOf(body) === plan.bytes.length;
    const upload = model.uploads.get(id);
    const wasTold = upload?.told === offset && upload.activity === upload.activityWhenTold;
    note(id);
    let activity = upload?.activity ?? 0;

    /** This request moves something: to others it is another writer. */
    function mark(): void {
      note(id);
      activity++;
    }

    const answer = await ask<Told>(
      `PATCH ${id} from ${offset}`,
      async (node, connection) => {
        // Only what is declared at the end is known to be right.
        const length = isWhole || world.isCalm ? plan.bytes.length : undefined;
        mark();
        const to = checksum && offset + bytes.length;
        const onOpen: Sent['onOpen'] = (...begun) => checks.opened(...begun, to);
        const told = await patch(node, connection, { id, owner, offset, length, checksum, onOpen }).finally(mark);
        toldBy(told, 0);
        checks.stored(id, offset, told.offset, bytes);
        return told;
      },
      { body, onChunk: mark },
    );
    const wasAlone = upload?.activity === activity;
    if (answer.kind === 'refused' && wasAlone && world.isUndisturbed) {
      // Promise 7: only another writer may interrupt.
      if (answer.code === 'upload_taken_over') world.fail(`PATCH ${id} was ended, and no other writer had come`);
      if (answer.code === 'offset_conflict' && wasTold && world.knowsAll)
        world.fail(`PATCH ${id} is not taken at ${offset}, which was told`);
    }
    return answer.kind === 'ok' ? answer.value : null;
  }

  async function sendForm(): Promise<void> {
    const { name, owner, plan, declaration } = makePlan();
    const { body } = makeBody(plan, 0);
    // What a form brings is whole only where it ends.
    plan.isMixed = true;
    plan.mayBeRejected = true;
    await ask(
      `form ${name}`,
      async (node, connection) => {
        const file = await form(node, connection, { owner, declaration: { ...declaration, size: null } });
        checks.toldFile(file.id);
        return file;
      },
      { body },
    );
  }

  async function check(owner: string): Promise<void> {
    const md5 = md5Of(chance.pick(world.contents));
    const filename = chance.happens(0.6) ? `instant-${world.scheduler.steps}` : undefined;
    await ask(`check ${md5}`, async (node) => {
      const result = await node.files.check({ owner, md5, ...(filename === undefined ? {} : { filename }) });
      if (result.status === 'exists' && result.file) checks.toldFile(result.file.id);
      return result.status;
    });
  }

  async function readBack(fileId: string, owner: string): Promise<void> {
    const file = model.files.get(fileId);
    await ask(`GET ${fileId}`, async (node, connection) => {
      const bytes = await download(node, connection, fileId, owner);
      if (file && !bytes.equals(file.bytes)) world.fail(`file ${fileId} is served with other bytes`);
      return bytes.length;
    });
  }

  async function removeFile(fileId: string, owner: string): Promise<void> {
    const file = model.files.get(fileId);
    if (file) file.mayGo = true;
    await ask(`DELETE file ${fileId}`, async (node) => {
      await node.files.remove(fileId, owner);
      checks.toldGone(fileId);
    });
  }

  async function removeUpload(id: string, owner: string): Promise<void> {
    const upload = note(id);
    if (upload) upload.mayEnd = true;
    const file = upload && model.files.get(upload.fileId ?? '');
    if (file) file.mayGo = true;
    await ask(`DELETE ${id}`, async (node, connection) => {
      await remove(node, connection, { id, owner });
      if (upload) upload.isEndTold = true;
    });
  }

  return { begin, look, sendFrom, sendForm, check, readBack, removeFile, removeUpload };
}

function lengthOf({ chunks }: Body): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}
