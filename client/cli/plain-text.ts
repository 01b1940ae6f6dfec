/** What a terminal can show: some take no control sequences, some nothing but ASCII. */

const IN_ASCII: Record<string, string> = { '“': '"', '”': '"', '‘': "'", '’': "'", '…': '...', '–': '-', '—': '-' };

/** Whether the locale that was chosen has no other signs than ASCII's (POSIX: LC_ALL before LC_CTYPE before LANG). */
export function isAsciiOnly(environment: NodeJS.ProcessEnv = process.env): boolean {
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || '';
  return locale === 'C' || locale === 'POSIX';
}

/** A line for the eyes in signs that the terminal has. */
export function showable(text: string): string {
  if (!isAsciiOnly()) return text;
  return text.replaceAll(/[“”‘’…–—]/g, (sign) => IN_ASCII[sign] ?? sign).replaceAll(/[^\n\x20-\x7e]/gu, '?');
}

/** Whether standard error is a terminal on which a line can be drawn again. */
export function canRedraw(): boolean {
  return process.stderr.isTTY && process.env['TERM'] !== 'dumb';
}
