/** A database whose queries run within a transaction that somebody else began. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kysely, Transaction } from 'kysely';
import type { Tables } from '../schema.ts';

/** What a method has answered, and whether a transaction of its own was to be undone before that. */
export interface Within<Result> {
  result: Result;
  isUndone: boolean;
}

export interface Scoped {
  db: Kysely<Tables>;
  /** What methods that are built over `db` do, they do within this transaction. Where they undo it, the caller has to. */
  within<Result>(trx: Transaction<Tables>, run: () => Promise<Result>): Promise<Within<Result>>;
}

interface Scope {
  trx: Transaction<Tables>;
  isUndone: boolean;
}

/**
 * Prepares it. So methods that are transactions of their own become steps of a larger one, and their queries are still compiled
 * once.
 */
export function createScoped(db: Kysely<Tables>): Scoped {
  const running = new AsyncLocalStorage<Scope>();

  function current(): Scope {
    const scope = running.getStore();
    if (!scope) throw new Error('there is no transaction around this query');
    return scope;
  }

  async function execute(run: (trx: Transaction<Tables>) => unknown): Promise<unknown> {
    const scope = current();
    try {
      return await run(scope.trx);
    } catch (error) {
      scope.isUndone = true;
      throw error;
    }
  }

  const ofScope: Partial<Record<PropertyKey, unknown>> = {
    executeQuery: (...args: Parameters<Kysely<Tables>['executeQuery']>) => current().trx.executeQuery(...args),
    transaction: () => ({ execute }),
  };
  const scoped = new Proxy(db, {
    get(target, name) {
      const own = ofScope[name];
      if (own !== undefined) return own;
      const found: unknown = Reflect.get(target, name, target);
      return typeof found === 'function' ? (found.bind(target) as unknown) : found;
    },
  });

  return {
    db: scoped,
    async within(trx, run) {
      const scope = { trx, isUndone: false };
      const result = await running.run(scope, run);
      return { result, isUndone: scope.isUndone };
    },
  };
}
