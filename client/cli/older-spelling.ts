/** Translates the command line of earlier releases, `-file X -server HOST:PORT`, to the present one. */

const OLDER_FLAGS = new Set(['file', 'server']);

/**
 * Rewrites `-file X`, `-file=X`, `-server X` and `-server=X` to `upload X --server X`.
 * A command line without `-file`, and one that names a command, is returned as it is.
 */
export function translateOlderSpelling(args: readonly string[], commands: readonly string[]): string[] {
  const asGiven = [...args];
  if (commands.includes(args[0] ?? '')) return asGiven;
  if (!args.some((argument) => /^--?file(=|$)/.test(argument))) return asGiven;
  const paths: string[] = [];
  const rest: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const argument = args[at] as string;
    const match = /^--?([a-z]+)(?:=(.*))?$/s.exec(argument);
    const flag = match?.[1] ?? '';
    if (!match || !OLDER_FLAGS.has(flag)) {
      rest.push(argument);
      continue;
    }
    const value = match[2] ?? args[at + 1];
    if (match[2] === undefined) at += 1;
    // The parser reports a flag without its value.
    if (flag === 'server') rest.push('--server', ...(value === undefined ? [] : [value]));
    else if (value !== undefined) paths.push(value);
  }
  return ['upload', ...rest, ...(paths.length > 0 ? ['--', ...paths] : [])];
}
