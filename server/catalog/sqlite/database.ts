/**
 * better-sqlite3, with all its objects kept until the process exits. When the garbage collector frees an object of
 * version 12, Node 24.19 and newer abort the process (`RemoveEnvironmentCleanupHook: Assertion
 * failed: (env) != nullptr`, WiseLibs/better-sqlite3 issue 1515), and version 13 needs Node 22.
 * The kept objects are few and small: opened databases and prepared statements.
 * See docs/decisions/0010-sqlite-objects-are-kept.md.
 */
import BetterSqlite3 from 'better-sqlite3';

const kept = new Set<object>();

export const { SqliteError } = BetterSqlite3;

/** better-sqlite3's class. Each call of `prepare` or `pragma` adds a statement that is kept. */
export class Database extends BetterSqlite3 {
  constructor(file: string, options?: BetterSqlite3.Options) {
    super(file, options);
    kept.add(this);
    const prepare = this.prepare.bind(this);
    this.prepare = ((source: string) => {
      const statement = prepare(source);
      kept.add(statement);
      return statement;
    }) as typeof this.prepare;
  }

  /** Replaces better-sqlite3's own, whose statement would not be kept. */
  override pragma(source: string, { simple = false }: BetterSqlite3.PragmaOptions = {}): unknown {
    const statement = this.prepare(`PRAGMA ${source}`);
    if (!statement.reader) {
      statement.run();
      return simple ? undefined : [];
    }
    return simple ? statement.pluck().get() : statement.all();
  }
}
