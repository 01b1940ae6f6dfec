/** How the results of the steps are printed: lines to read, or one JSON object per line. */
import type { StepResult, StepStatus } from './steps.ts';

const STATUS_COLUMNS = 9;
const NAME_COLUMNS = 17;

export interface Report {
  step(result: StepResult): void;
  /** @returns whether nothing failed and nothing was skipped. */
  end(): boolean;
}

/** @param write - called with each line, without a line break. */
export function createReport(json: boolean, write: (line: string) => void): Report {
  const counts: Record<StepStatus, number> = { ok: 0, note: 0, failed: 0, skipped: 0 };

  return {
    step: (result) => {
      counts[result.status]++;
      if (json) write(JSON.stringify(result));
      else for (const line of linesOf(result)) write(line);
    },
    end: () => {
      const good = counts.failed === 0 && counts.skipped === 0;
      if (json) write(JSON.stringify({ result: good ? 'ok' : 'failed', ...counts }));
      else write(`${counts.ok} ok, ${counts.note} to note, ${counts.failed} failed, ${counts.skipped} skipped`);
      return good;
    },
  };
}

function linesOf({ step, status, tried, found, change, durationMs }: StepResult): string[] {
  const head = status.padEnd(STATUS_COLUMNS) + step.padEnd(NAME_COLUMNS);
  if (status === 'skipped') return [`${head}${found}`];
  const lines = [`${head}${tried}: ${oneLine(found)} (${durationMs ?? 0} ms)`];
  if (change !== null) lines.push(`${' '.repeat(STATUS_COLUMNS + NAME_COLUMNS)}-> ${oneLine(change)}`);
  return lines;
}

/** Removes what could control a terminal: the text may come from another server. */
function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what it is there to find
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, ' ');
}
