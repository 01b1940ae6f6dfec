/** The command line: what an operator may give, and what the parent of workers gives to them. */
import cluster from 'node:cluster';
import { ConfigError } from './config/problems.ts';

const WORKER = '--worker=';

export interface Arguments {
  adopt: boolean;
  /** Which of the workers this is; undefined for a process that has no parent of ours. */
  worker: number | undefined;
}

/** The argument by which a process learns which of the workers it is. */
export function workerArgument(number: number): string {
  return WORKER + number;
}

/** @throws ConfigError. */
export function readArguments(args: readonly string[]): Arguments {
  const ofWorker = cluster.isWorker ? args.find((argument) => argument.startsWith(WORKER)) : undefined;
  const unknown = args.find((argument) => argument !== '--adopt' && argument !== ofWorker);
  if (unknown !== undefined) {
    throw new ConfigError([{ variable: unknown, message: 'is not a known argument; the only one is --adopt' }]);
  }
  const worker = ofWorker === undefined ? undefined : Number(ofWorker.slice(WORKER.length));
  return { adopt: args.includes('--adopt'), worker };
}

/** Put before each line that a worker writes where others write too; empty for a process alone. */
export function nameOfWorker(args: readonly string[]): string {
  const number = args.find((argument) => argument.startsWith(WORKER))?.slice(WORKER.length);
  return cluster.isWorker && number !== undefined ? `worker ${number}: ` : '';
}
