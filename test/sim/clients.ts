/** Clients of a simulation: they send, break off, ask again, take over and remove, not always as they should. */
import { createActor } from './node.ts';
import type { Actor } from './scheduler.ts';
import { createSender } from './sender.ts';
import type { World } from './world.ts';

/** How often a client looks and sends before it leaves the rest to others. */
const MOST_ROUNDS = 8;

export interface Client extends Actor {
  /** Resolves when it has done what it wanted. */
  run(): Promise<void>;
}

/** A client that sends a few files, not always as it should. */
export function createClient(world: World, name: string): Client {
  const { chance } = world;
  const actor = createActor(name);
  const sender = createSender(world, actor);

  async function run(): Promise<void> {
    for (let files = 1 + chance.below(3); files > 0 && !world.isCalm; files--) {
      if (chance.happens(0.12)) await sender.sendForm();
      else await sendFile();
    }
  }

  async function sendFile(): Promise<void> {
    const begun = await sender.begin();
    if (!begun) return;
    let { told } = begun;
    const { id, owner, plan } = begun;
    for (let round = 0; round < MOST_ROUNDS && !world.isCalm; round++) {
      if (told?.fileId) return afterwards(told.fileId, owner, id);
      if (chance.happens(0.05)) await sender.removeUpload(id, owner);
      else if (told === null || chance.happens(0.2)) {
        const seen = await sender.look(id, owner);
        if (seen.kind === 'refused' && seen.code !== 'store_unavailable') return;
        told = seen.kind === 'ok' ? seen.value : null;
      } else if (chance.happens(0.15)) {
        // Two machines that have the same upload in their journals.
        const { offset } = told;
        const other = createSender(world, actor);
        const sent = await Promise.all([sender, other].map((each) => each.sendFrom(id, owner, plan, offset)));
        told = sent.find((each) => each?.fileId) ?? null;
      } else told = await sender.sendFrom(id, owner, plan, told.offset);
    }
  }

  async function afterwards(fileId: string, owner: string, uploadId: string): Promise<void> {
    if (chance.happens(0.5)) await sender.check(owner);
    if (chance.happens(0.4)) await sender.readBack(fileId, owner);
    if (chance.happens(0.2)) await sender.removeUpload(uploadId, owner);
    else if (chance.happens(0.5)) await sender.removeFile(fileId, owner);
  }

  return Object.assign(actor, { run });
}
