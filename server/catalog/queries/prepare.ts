/**
 * Queries that are built and compiled once, and then run with values: Kysely needs more time to build a query than
 * SQLite to run it.
 */
import type { Compilable, CompiledQuery, Kysely } from 'kysely';
import type { Tables } from '../schema.ts';

/** Where a compiled query runs: on its own, or within a transaction. */
export type Executor = Pick<Kysely<Tables>, 'executeQuery'>;

/** A compiled query. */
export interface Prepared<Values, Row> {
  rows(executor: Executor, values: Values): Promise<Row[]>;
  first(executor: Executor, values: Values): Promise<Row | undefined>;
  /** How many rows were inserted, updated or deleted. */
  changes(executor: Executor, values: Values): Promise<number>;
}

/** A query whose changes need not survive a power cut: `durable()` does not wait for them. */
export interface RelaxedQuery extends CompiledQuery {
  readonly relaxed?: true;
}

/** A read that may take long: SQLite runs it beside the main thread, where it can (sqlite/reader.ts). */
export interface AsideQuery extends CompiledQuery {
  readonly aside?: true;
}

/** Runs a read that may take long, and that is built anew each time. */
export async function rowsAside<Row>(executor: Executor, query: Compilable<Row>): Promise<Row[]> {
  const aside: AsideQuery & CompiledQuery<Row> = { ...query.compile(), aside: true };
  return (await executor.executeQuery<Row>(aside)).rows;
}

/** Takes the place of a value while the query is compiled. */
class Placeholder {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A parameter whose value is read each time the query runs. */
export class AtRun {
  readonly ask: () => number;

  constructor(ask: () => number) {
    this.ask = ask;
  }
}

/**
 * Compiles the query that `build` returns, when it runs for the first time: a start needs few of them. Each property that
 * `build` reads from its argument becomes a parameter, whose value is given at every run.
 *
 * `build` gets placeholders, not values. It must not inspect or change them, and may only pass them to Kysely where SQL
 * allows a parameter.
 *
 * @param options - `relaxed`: see RelaxedQuery; `aside`: see AsideQuery.
 */
export function prepare<Values extends object, Row>(
  build: (values: Values) => Compilable<Row>,
  { relaxed = false, aside = false }: { relaxed?: boolean; aside?: boolean } = {},
): Prepared<Values, Row> {
  let template: CompiledQuery<Row> | undefined;

  function compile(): CompiledQuery<Row> {
    // The cast lets placeholders pass as values.
    const placeholders = new Proxy({}, { get: (_, name) => new Placeholder(String(name)) }) as Values;
    return build(placeholders).compile();
  }

  function bind(values: Values): CompiledQuery<Row> {
    template ??= compile();
    const parameters = template.parameters.map((parameter) => {
      if (parameter instanceof Placeholder) return values[parameter.name as keyof Values];
      return parameter instanceof AtRun ? parameter.ask() : parameter;
    });
    return { ...template, parameters, ...(relaxed ? { relaxed } : {}), ...(aside ? { aside } : {}) };
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
