/** The command line: arguments from an operator, and from the parent of workers. */
import cluster from 'node:cluster';
import { ConfigError } from './config/problems.ts';

const WORKER = '--worker=';

/** What the command line says. */
export interface Arguments {
  adopt: boolean;
  /** The worker's number; undefined in a process that is not a worker. */
  worker: number | undefined;
}

/** The argument that tells a worker its number. */
export function workerArgument(number: number): string {
  return WORKER + number;
}

/** Reads the arguments. @throws ConfigError where one is unknown. */
export function readArguments(args: readonly string[]): Arguments {
  const ofWorker = cluster.isWorker ? args.find((argument) => argument.startsWith(WORKER)) : undefined;
  const unknown = args.find((argument) => argument !== '--adopt' && argument !== ofWorker);
  if (unknown !== undefined) {
    throw new ConfigError([{ variable: unknown, message: 'is not a known argument; the only one is --adopt' }]);
  }
  const worker = ofWorker === undefined ? undefined : Number(ofWorker.slice(WORKER.length));
  return { adopt: args.includes('--adopt'), worker };
}

/** The prefix of the lines that a worker writes to a stream it shares; empty in a process that is not a worker. */
export function nameOfWorker(args: readonly string[]): string {
  const number = args.find((argument) => argument.startsWith(WORKER))?.slice(WORKER.length);
  return cluster.isWorker && number !== undefined ? `worker ${number}: ` : '';
}
