/**
 * The entries of a disk in memory, and which of them survive a power cut. An entry never changes: it is written, replaced
 * or removed as a whole. A power cut may spare changes that were not synced.
 *
 * | a name     | reads            | after a power cut                                               |
 * |------------|------------------|-----------------------------------------------------------------|
 * | written    | its new entry    | the entry that was last synced; the new one where it was spared |
 * | removed    | nothing          | the entry that was last synced; nothing where it was spared     |
 * | synced     | as before        | the same                                                        |
 */

export interface Entry {
  readonly chunks: readonly Uint8Array[];
  readonly size: number;
  /** For a piece of an upload: the offset of its first byte. */
  readonly start: number;
  /** For a piece of an upload: the name of the piece before it; null for the first. */
  readonly after: string | null;
  readonly writtenAtMs: number;
  /** For a piece of an atomic write: it counts only where a row names it, or a piece after it. */
  readonly isUnverified?: boolean;
}

/** The entries; all calls are immediate. */
export class Platter {
  #live = new Map<string, Entry>();
  readonly #durable = new Map<string, Entry>();
  #changes = 0;

  /** Grows with each change. */
  get changes(): number {
    return this.#changes;
  }

  names(): string[] {
    return [...this.#live.keys()];
  }

  get(name: string): Entry | undefined {
    return this.#live.get(name);
  }

  isDurable(name: string): boolean {
    return this.#live.get(name) === this.#durable.get(name);
  }

  put(name: string, entry: Entry): void {
    this.#live.set(name, entry);
    this.#changes++;
  }

  remove(name: string): void {
    this.#live.delete(name);
    this.#changes++;
  }

  sync(name: string): void {
    const entry = this.#live.get(name);
    if (entry) this.#durable.set(name, entry);
    else this.#durable.delete(name);
    this.#changes++;
  }

  /** Loses the changes that were not synced. @param survives - spares some of them. */
  cutPower(survives: (name: string) => boolean): void {
    const names = [...new Set([...this.#live.keys(), ...this.#durable.keys()])];
    const changed = names.filter((name) => !this.isDurable(name));
    for (const name of changed) if (survives(name)) this.sync(name);
    this.#live = new Map(this.#durable);
    this.#changes++;
  }
}
