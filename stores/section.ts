/**
 * The contract between the doctor and the drivers of stores and catalogs: a driver provides a section, which is a list of
 * steps. The doctor knows nothing else of a driver. Steps run one after the other, each at most once.
 *
 * What must hold:
 * - A step tries one thing, with a time limit, and changes nothing on which a service depends.
 * - The steps remove what they create: in a step that is marked `always`, or in `close`, which the doctor calls in any case.
 * - The texts have no secret: no key, no signed address.
 */

/** The result of a step that did not fail. */
export interface Finding {
  found: string;
  /** True: it works, but the operator should know of it. */
  note?: boolean;
  /** What the operator should change. */
  change?: string;
}

export interface Step {
  /** One or two words; unique among all sections where other steps need it. */
  name: string;
  /** What the step tries, in a few words. */
  tried: string;
  /** Names of the steps, also of earlier sections, that have to succeed before this one. */
  needs?: readonly string[];
  /** It runs also after an interruption, as it removes what other steps have created. */
  always?: boolean;
  /** @throws StepError, or an error that `explain` of its section can explain. */
  run(): Promise<Finding>;
}

/** Steps about one thing. */
export interface Section {
  readonly steps: readonly Step[];
  /** The step that has to succeed before anything else about this store or catalog can be tried. */
  readonly gate?: string;
  /** Explains the error of a step. */
  explain(error: unknown): { found: string; change: string };
  /** Called once, after the last step, however it ended. */
  close?(): void | Promise<void>;
}

/** The failure of a step that knows the reason, and what to change. */
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
