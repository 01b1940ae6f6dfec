/** Runs the steps of the sections, one after the other, and reports the result of each. */
import { type Section, type Step, StepError } from '../../stores/section.ts';

/**
 * - `ok`: as it should be.
 * - `note`: works, and is worth knowing.
 * - `failed`: does not work.
 * - `skipped`: was not tried, as a step that it needs failed, or as the run was interrupted.
 */
export type StepStatus = 'ok' | 'note' | 'failed' | 'skipped';

export interface StepResult {
  step: string;
  status: StepStatus;
  /** What was tried. */
  tried: string;
  /** What came back; of a skipped step, why it was skipped. */
  found: string;
  /** What the operator should change; null where nothing needs to change. */
  change: string | null;
  /** Null for a skipped step. */
  durationMs: number | null;
}

/**
 * Runs the sections in order. After a failed step, its section and the others continue.
 *
 * @param signal - once aborted, the remaining steps are skipped, but for those that clean up (`always`).
 * @param report - called with the result of each step.
 */
export async function runSections(
  sections: readonly Section[],
  signal: AbortSignal,
  report: (result: StepResult) => void,
): Promise<void> {
  /** Why a step failed or was skipped, by its name: the reason to skip the steps that need it. */
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
