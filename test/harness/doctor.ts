/** Runs the doctor as a real process, and in this one. */
import { fileURLToPath } from 'node:url';
import { parseConfig } from '../../server/config/parse.ts';
import { examine } from '../../server/doctor/examine.ts';
import { createReport } from '../../server/doctor/report.ts';
import type { StepResult } from '../../server/doctor/steps.ts';
import { runProgram } from './cli.ts';

const MAIN = fileURLToPath(new URL('../../server/doctor/main.js', import.meta.url));

export interface Diagnosis {
  exitCode: number | null;
  steps: StepResult[];
  /** Step -> its status. */
  statuses: Record<string, string>;
  step(name: string): StepResult | undefined;
  output: string;
}

/** Runs `npm run doctor -- --json` in a folder: what `tidemark doctor` starts, too. */
export async function diagnose(folder: string, env: NodeJS.ProcessEnv): Promise<Diagnosis> {
  return readDiagnosis(await runProgram(MAIN, ['--json'], folder, { DATA_DIR: folder, ...env }).done);
}

/** What a process of its own finds with valid settings, at a fifth of the cost. */
export async function diagnoseHere(folder: string, env: NodeJS.ProcessEnv): Promise<Diagnosis> {
  const lines: string[] = [];
  const report = createReport(true, (line) => lines.push(line));
  await examine(parseConfig({ DATA_DIR: folder, ...env }), report, new AbortController().signal);
  const exitCode = report.end() ? 0 : 1;
  return readDiagnosis({ exitCode, stdout: lines.join('\n'), stderr: '' });
}

export function readDiagnosis(result: { exitCode: number | null; stdout: string; stderr: string }): Diagnosis {
  const { exitCode, stdout, stderr } = result;
  const lines = stdout.split('\n').filter((line) => line !== '');
  const steps = lines.slice(0, -1).map((line) => JSON.parse(line) as StepResult);
  return {
    exitCode,
    steps,
    statuses: Object.fromEntries(steps.map(({ step, status }) => [step, status])),
    step: (name) => steps.find(({ step }) => step === name),
    output: stdout + stderr,
  };
}
