/** Shows the progress of a run: on a terminal one line that is redrawn, elsewhere a line every few seconds. */
import { printable } from './format.ts';
import type { Output } from './output.ts';
import { canRedraw } from './plain-text.ts';
import { barLine, type Description, describe, logLine, quarterOf, type State } from './progress-words.ts';
import { createRate, type Rate } from './rate.ts';

const REDRAW_MS = 100;
const LINE_EVERY_MS = 5000;

/** The progress of one file. */
export interface ProgressItem {
  /** Begins a phase (hashing, uploading…) of so many bytes; null where not known. */
  phase(name: string, totalBytes: number | null): void;
  /** Sets the position after work, which counts for the rate. */
  at(position: number): void;
  /** Sets the position without work: where a resumed transfer begins, or falls back to. */
  jump(position: number): void;
  end(): void;
}

export interface Progress {
  item(name: string): ProgressItem;
  stop(): void;
}

/** One file under way, and what was printed of it. */
interface Tracked extends State {
  /** Bytes since the last update of the rate. */
  worked: number;
  quarter: number;
  lineAt: number;
}

/** All files under way. */
interface Board {
  readonly expected: { files: number; bytes: number };
  readonly items: Set<Tracked>;
  readonly rate: Rate;
  endedFiles: number;
  endedBytes: number;
}

/** @param expected - number and total size of all files of the run. */
export function createProgress(output: Output, expected: { files: number; bytes: number }): Progress {
  if (output.modes.quiet) return { item: () => SILENT, stop: () => {} };
  const board: Board = { expected, items: new Set(), rate: createRate(), endedFiles: 0, endedBytes: 0 };
  const onTerminal = canRedraw();
  const display = createDisplay(board);
  const log = createLog(board, output);

  const timer = setInterval(() => {
    let worked = 0;
    for (const item of board.items) {
      worked += item.worked;
      item.worked = 0;
    }
    board.rate.add(worked);
    if (onTerminal) display.draw();
    else log();
  }, REDRAW_MS);
  timer.unref();
  output.attach(onTerminal ? display : null);

  return {
    item: (name) => track(board, name, { onWork: onTerminal || expected.files > 1 ? () => {} : log, display }),
    stop: () => {
      clearInterval(timer);
      display.clear();
      output.attach(null);
    },
  };
}

function describeBoard({ items, rate, ...sums }: Board): Description {
  return describe([...items], { ...sums, bytesPerSecond: rate.value() });
}

interface Display {
  clear: () => void;
  draw: () => void;
}

/** The line of a terminal. */
function createDisplay(board: Board): Display {
  let drawn = false;
  return {
    clear: () => {
      if (drawn) process.stderr.write('\r\u001b[K');
      drawn = false;
    },
    draw: () => {
      if (!canRedraw() || board.items.size === 0) return;
      // One column stays free: some terminals wrap a line that fills all of them.
      const columns = Math.max(10, (process.stderr.columns || 80) - 1);
      process.stderr.write(`\r${barLine(describeBoard(board), columns)}\u001b[K`);
      drawn = true;
    },
  };
}

/** Prints a line every few seconds; for a single file also at each quarter. @returns a function that prints a line if due. */
function createLog(board: Board, output: Output): () => void {
  const { items, expected } = board;
  let lastLineAt = performance.now();
  const sayLine = (now: number): void => {
    lastLineAt = now;
    output.say(logLine(describeBoard(board)));
  };
  return () => {
    const now = performance.now();
    if (expected.files > 1) {
      if (items.size > 0 && now - lastLineAt >= LINE_EVERY_MS) sayLine(now);
      return;
    }
    for (const item of items) {
      const quarter = quarterOf(item.position, item.total);
      if (quarter <= item.quarter && now - item.lineAt < LINE_EVERY_MS) continue;
      item.quarter = Math.max(quarter, item.quarter);
      item.lineAt = now;
      sayLine(now);
    }
  };
}

function track(
  board: Board,
  name: string,
  { onWork, display }: { onWork: () => void; display: Display },
): ProgressItem {
  const begun = { total: null, position: 0, worked: 0, quarter: 0 };
  const state: Tracked = { name: printable(name), phase: '', ...begun, lineAt: performance.now() };
  return {
    phase(phase, total) {
      if (board.expected.files <= 1 && state.phase !== phase) board.rate.reset();
      Object.assign(state, { ...begun, phase, total, lineAt: performance.now() });
      board.items.add(state);
    },
    at(position) {
      state.worked += Math.max(0, position - state.position);
      state.position = position;
      onWork();
    },
    jump(position) {
      state.position = position;
      if (state.total) state.quarter = quarterOf(position, state.total);
    },
    end() {
      if (!board.items.delete(state)) return;
      board.endedFiles += 1;
      board.endedBytes += state.total ?? state.position;
      if (board.items.size === 0) display.clear();
    },
  };
}

const SILENT: ProgressItem = { phase: () => {}, at: () => {}, jump: () => {}, end: () => {} };
