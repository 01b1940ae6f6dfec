/** Steps: what the doctor tries, one after the other, and what becomes of each. */

/**
 * - `ok`: as it should be.
 * - `note`: works, and is worth knowing.
 * - `failed`: does not work.
 * - `skipped`: could not be tried, as another step had failed.
 */
export type StepStatus = 'ok' | 'note' | 'failed' | 'skipped';

export interface StepResult {
  step: string;
  status: StepStatus;
  /** What was tried. */
  tried: string;
  /** What came back; of a skipped step, why it was skipped. */
  found: string;
  /** What to change; null where nothing has to be. */
  change: string | null;
  /** Null where it was skipped. */
  durationMs: number | null;
}

/** What a step found that did not fail. */
export interface Finding {
  found: string;
  note?: boolean;
  change?: string;
}

export interface Step {
  /** One or two words. */
  name: string;
  tried: string;
  /** Steps without which this one makes no sense, by name. */
  needs?: readonly string[];
  /** Also after an interruption: it removes what the others have made. */
  always?: boolean;
  /** @throws StepError, or what `explain` of its section knows. */
  run(): Promise<Finding>;
}

/** Steps about one thing. */
export interface Section {
  steps: readonly Step[];
  /** What the error of a step means. */
  explain(error: unknown): { found: string; change: string };
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

/**
 * Runs the steps in order; a failed one does not end it.
 *
 * @param signal - once aborted, the rest is skipped but for what cleans up.
 * @param report - told of each step at its end.
 */
export async function runSection(
  section: Section,
  signal: AbortSignal,
  report: (result: StepResult) => void,
): Promise<void> {
  /** Why a step that was not done was not. */
  const missing = new Map<string, string>();

  function reasonToSkip({ needs = [], always = false }: Step): string | undefined {
    const without = needs.find((name) => missing.has(name));
    if (without !== undefined) return missing.get(without);
    return signal.aborted && !always ? 'interrupted' : undefined;
  }

  for (const step of section.steps) {
    const { name, tried } = step;
    const reason = reasonToSkip(step);
    if (reason !== undefined) {
      missing.set(name, reason);
      report({ step: name, status: 'skipped', tried, found: reason, change: null, durationMs: null });
      continue;
    }
    const begun = performance.now();
    const outcome = await outcomeOf(step, section);
    if (outcome.status === 'failed') missing.set(name, `“${name}” failed`);
    report({ step: name, tried, ...outcome, durationMs: Math.round((performance.now() - begun) * 10) / 10 });
  }
}

async function outcomeOf(step: Step, section: Section): Promise<Pick<StepResult, 'status' | 'found' | 'change'>> {
  try {
    const { found, note = false, change = null } = await step.run();
    return { status: note ? 'note' : 'ok', found, change };
  } catch (error) {
    const { found, change } = error instanceof StepError ? error : section.explain(error);
    return { status: 'failed', found, change };
  }
}
