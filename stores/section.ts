/**
 * What a driver of a store or a catalog brings to the doctor: a section, which is a list of steps. This is all that
 * the doctor knows of a driver. Steps run one after the other, each at most once.
 *
 * What must hold:
 * - A step tries one thing, with a time limit, and changes nothing that a service would miss.
 * - What the steps make, they remove: in a step that is marked `always`, or in `close`, which is called in any case.
 * - What is told holds no secret: no key, no signed address.
 */

/** What a step found that did not fail. */
export interface Finding {
  found: string;
  /** It works, and is worth knowing. */
  note?: boolean;
  /** What to change. */
  change?: string;
}

export interface Step {
  /** One or two words, of which no other section has the same where others need it. */
  name: string;
  /** What is tried, in a few words. */
  tried: string;
  /** Steps without which this one makes no sense, by name, also of sections before. */
  needs?: readonly string[];
  /** Also after an interruption: it removes what the others have made. */
  always?: boolean;
  /** @throws StepError, or what `explain` of its section knows. */
  run(): Promise<Finding>;
}

/** Steps about one thing. */
export interface Section {
  readonly steps: readonly Step[];
  /** The step without which what the section is about cannot be asked for anything. */
  readonly gate?: string;
  /** What the error of a step means. */
  explain(error: unknown): { found: string; change: string };
  /** Called once, after the last step, however it ended. */
  close?(): void | Promise<void>;
}

/** A step failed, and knows why. */
export class StepError extends Error {
  readonly found: string;
  readonly change: string;

  constructor(found: string, change: string) {
    super(`${found}: ${change}`);
    this.name = 'StepError';
    this.found = found;
    this.change = change;
  }
}
