/**
 * What is on a disk in memory, and what of that survives a power cut. An entry never changes: it is written, replaced
 * or removed as a whole.
 *
 * | a name     | is seen          | after a power cut                                                |
 * |------------|------------------|------------------------------------------------------------------|
 * | written    | with its bytes   | as it was last synced, or with its bytes where the cut spares it |
 * | removed    | as nothing       | as it was last synced, or as nothing where the cut spares it     |
 * | synced     | as it was        | as it is seen                                                    |
 */

export interface Entry {
  readonly chunks: readonly Uint8Array[];
  readonly size: number;
  /** Of a piece of an upload: its first byte's place in the upload. */
  readonly start: number;
  /** Of a piece of an upload: the piece before it; null for the first. */
  readonly after: string | null;
  readonly writtenAtMs: number;
}

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

  /** @param survives - whether a change that was not synced is there all the same. */
  cutPower(survives: (name: string) => boolean): void {
    const names = [...new Set([...this.#live.keys(), ...this.#durable.keys()])];
    const changed = names.filter((name) => !this.isDurable(name));
    for (const name of changed) if (survives(name)) this.sync(name);
    this.#live = new Map(this.#durable);
    this.#changes++;
  }
}
