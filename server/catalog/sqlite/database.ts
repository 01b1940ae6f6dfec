/**
 * better-sqlite3, whose objects are kept until the process ends. Collecting one of version 12
 * aborts the process under Node 24.19 and newer (`RemoveEnvironmentCleanupHook: Assertion
 * failed: (env) != nullptr`, WiseLibs/better-sqlite3 issue 1515), and version 13 needs Node 22.
 * What is kept is small and bounded: databases that were opened, statements that were prepared.
 * See docs/decisions/0010-sqlite-objects-are-kept.md.
 */
import BetterSqlite3 from 'better-sqlite3';

const kept = new Set<object>();

export const { SqliteError } = BetterSqlite3;

/** As better-sqlite3 has it; each call of `prepare` and `pragma` leaves a statement behind. */
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

  /** Its own would make a statement that nobody keeps. */
  override pragma(source: string, { simple = false }: BetterSqlite3.PragmaOptions = {}): unknown {
    const statement = this.prepare(`PRAGMA ${source}`);
    if (!statement.reader) {
      statement.run();
      return simple ? undefined : [];
    }
    return simple ? statement.pluck().get() : statement.all();
  }
}
