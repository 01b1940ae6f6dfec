/** Runs the steps that the sections bring, one after the other, and says what becomes of each. */
import { type Section, type Step, StepError } from '../../stores/section.ts';

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

/**
 * Runs the sections in order; a failed step ends neither its section nor the others.
 *
 * @param signal - once aborted, the rest is skipped but for what cleans up.
 * @param report - told of each step at its end.
 */
export async function runSections(
  sections: readonly Section[],
  signal: AbortSignal,
  report: (result: StepResult) => void,
): Promise<void> {
  /** Why a step that was not done was not. */
  const missing = new Map<string, string>();
  for (const section of sections) {
    try {
      for (const step of section.steps) {
        const result = await runStep(step, section, reasonToSkip(step, missing, signal));
        if (result.status === 'skipped') missing.set(step.name, result.found);
        else if (result.status === 'failed') missing.set(step.name, `“${step.name}” failed`);
        report(result);
      }
    } finally {
      await section.close?.();
    }
  }
}

function reasonToSkip(
  { needs = [], always = false }: Step,
  missing: ReadonlyMap<string, string>,
  signal: AbortSignal,
): string | undefined {
  const without = needs.find((name) => missing.has(name));
  if (without !== undefined) return missing.get(without);
  return signal.aborted && !always ? 'interrupted' : undefined;
}

async function runStep(step: Step, section: Section, reason: string | undefined): Promise<StepResult> {
  const { name, tried } = step;
  if (reason !== undefined) {
    return { step: name, status: 'skipped', tried, found: reason, change: null, durationMs: null };
  }
  const begun = performance.now();
  const outcome = await outcomeOf(step, section);
  return { step: name, tried, ...outcome, durationMs: Math.round((performance.now() - begun) * 10) / 10 };
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
