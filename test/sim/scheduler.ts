/**
 * The scheduler: everything that happens in a simulation is an event here, and the seed decides which of those that
 * could happen is next. A step is one event and all that follows from it without another one. Time passes between steps,
 * and when nothing else is left to happen.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Timer } from '../../stores/surroundings.ts';
import type { Chance } from './chance.ts';

/** Whose event it is. */
export interface Actor {
  readonly name: string;
  /** Its events wait until it wakes. */
  isFrozen: boolean;
  /** It was killed: its events never happen. */
  isGone: boolean;
}

export interface Event {
  readonly label: string;
  /** Null: it belongs to no actor, and happens whatever becomes of them. */
  actor: Actor | null;
  readonly run: () => unknown;
}

interface SimTimer extends Timer {
  readonly actor: Actor;
  readonly order: number;
  readonly action: () => void;
  dueMs: number;
}

export interface Scheduler {
  readonly nowMs: number;
  readonly steps: number;
  /** Something that can happen from now on. */
  add(label: string, actor: Actor | null, run: () => unknown): Event;
  /** The event is cancelled. */
  drop(event: Event): void;
  setTimer(actor: Actor, action: () => void, afterMs: number): Timer;
  clearTimer(timer: Timer | undefined): void;
  /** Forgets what only an actor that is gone would have done. */
  forgetGone(): void;
  /** Lets one event happen. False where none can, however long one waits. */
  step(): Promise<boolean>;
  /** Whether there is anything but timers. */
  readonly isBusy: boolean;
  /** Lets time pass without anything that happens. */
  passTime(byMs: number): void;
  /** Says something in the trace. */
  note(text: string): void;
}

export interface SchedulerOptions {
  chance: Chance;
  /** Between two steps at most so much time passes. */
  paceMs: number;
  /** Told of each event. */
  tell: ((line: string) => void) | undefined;
}

export function createScheduler({ chance, paceMs, tell }: SchedulerOptions): Scheduler {
  const events: Event[] = [];
  const timers = new Set<SimTimer>();
  let nowMs = 0;
  let steps = 0;
  let lastOrder = 0;

  const canHappen = ({ actor }: { actor: Actor | null }): boolean => !actor?.isFrozen && !actor?.isGone;

  function dueTimers(untilMs: number): SimTimer[] {
    const due = [...timers].filter((timer) => timer.dueMs <= untilMs && canHappen(timer));
    return due.toSorted((a, b) => a.dueMs - b.dueMs || a.order - b.order);
  }

  function take(): Event | undefined {
    const ready = events.filter(canHappen);
    const due = dueTimers(nowMs);
    if (ready.length + due.length === 0) {
      const [next] = dueTimers(Infinity);
      if (!next) return undefined;
      nowMs = Math.max(nowMs, next.dueMs);
      return fire(next);
    }
    const index = chance.below(ready.length + due.length);
    const event = ready[index];
    if (event) {
      events.splice(events.indexOf(event), 1);
      return event;
    }
    const timer = due[index - ready.length];
    return timer && fire(timer);
  }

  function fire(timer: SimTimer): Event {
    timers.delete(timer);
    return { label: 'timer', actor: timer.actor, run: timer.action };
  }

  function say(actor: Actor | null, label: string): void {
    tell?.(`${String(steps).padStart(5)} ${String(nowMs).padStart(9)} ms  ${(actor?.name ?? '').padEnd(8)} ${label}`);
  }

  return {
    get nowMs() {
      return nowMs;
    },
    get steps() {
      return steps;
    },
    get isBusy() {
      return events.some(canHappen);
    },
    add: (label, actor, run) => {
      const event = { label, actor, run };
      events.push(event);
      return event;
    },
    drop: (event) => {
      const index = events.indexOf(event);
      if (index >= 0) events.splice(index, 1);
    },
    setTimer: (actor, action, afterMs) => {
      const timer: SimTimer = {
        actor,
        action,
        order: ++lastOrder,
        dueMs: nowMs + Math.max(0, afterMs),
        refresh: () => {
          timer.dueMs = nowMs + afterMs;
          timers.add(timer);
        },
        unref: () => undefined,
      };
      // Nobody waits for the end of time.
      if (timer.dueMs < Infinity) timers.add(timer);
      return timer;
    },
    clearTimer: (timer) => void timers.delete(timer as SimTimer),
    forgetGone: () => {
      for (const timer of timers) if (timer.actor.isGone) timers.delete(timer);
      for (const event of events.filter(({ actor }) => actor?.isGone)) events.splice(events.indexOf(event), 1);
    },
    step: async () => {
      const event = take();
      if (!event) return false;
      steps++;
      nowMs += chance.below(paceMs + 1);
      say(event.actor, event.label);
      event.run();
      // Nothing in a simulation waits for anything but its events: by the next turn all that follows has happened.
      await turn();
      return true;
    },
    passTime: (byMs) => {
      nowMs += byMs;
    },
    note: (text) => say(null, text),
  };
}
