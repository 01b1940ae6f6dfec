/**
 * Queries that are built and compiled once and then run with values. Building
 * one with Kysely costs more than SQLite needs to run it.
 */
import type { Compilable, CompiledQuery, Kysely } from 'kysely';
import type { Tables } from '../schema.ts';

/** Where a compiled query runs: on its own, or within a transaction. */
export type Executor = Pick<Kysely<Tables>, 'executeQuery'>;

export interface Prepared<Values, Row> {
  rows(executor: Executor, values: Values): Promise<Row[]>;
  first(executor: Executor, values: Values): Promise<Row | undefined>;
  /** How many rows were inserted, updated or deleted. */
  changes(executor: Executor, values: Values): Promise<number>;
}

/** A query that nothing durable hangs on: `durable()` does not wait for what it has written. */
export interface RelaxedQuery extends CompiledQuery {
  readonly relaxed?: true;
}

/** Stands for a value in a query that is being compiled. */
class Placeholder {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** Stands for a value that is asked for each time the query runs. */
export class AtRun {
  readonly ask: () => number;

  constructor(ask: () => number) {
    this.ask = ask;
  }
}

/**
 * Compiles the query that `build` returns. Each property it reads from its
 * argument becomes a parameter, whose value is given at every run.
 *
 * A placeholder is a value like any other to Kysely, but can't be looked into:
 * `build` must pass it on as it is, where a parameter may stand.
 *
 * @param options - `relaxed`: see RelaxedQuery.
 */
export function prepare<Values extends object, Row>(
  build: (values: Values) => Compilable<Row>,
  { relaxed = false }: { relaxed?: boolean } = {},
): Prepared<Values, Row> {
  // The cast is the point: the placeholders pass for the values they stand for.
  const placeholders = new Proxy({}, { get: (_, name) => new Placeholder(String(name)) }) as Values;
  const template = build(placeholders).compile();

  function bind(values: Values): CompiledQuery<Row> {
    const parameters = template.parameters.map((parameter) => {
      if (parameter instanceof Placeholder) return values[parameter.name as keyof Values];
      return parameter instanceof AtRun ? parameter.ask() : parameter;
    });
    return { ...template, parameters, ...(relaxed ? { relaxed } : {}) };
  }

  return {
    async rows(executor, values) {
      return (await executor.executeQuery(bind(values))).rows;
    },
    async first(executor, values) {
      return (await executor.executeQuery(bind(values))).rows[0];
    },
    async changes(executor, values) {
      return Number((await executor.executeQuery(bind(values))).numAffectedRows ?? 0);
    },
  };
}
