/** Adapts text to the terminal: some terminals support no control sequences, some only ASCII. */

const IN_ASCII: Record<string, string> = { '“': '"', '”': '"', '‘': "'", '’': "'", '…': '...', '–': '-', '—': '-' };

/** Whether the locale has only ASCII characters (POSIX: LC_ALL before LC_CTYPE before LANG). */
export function isAsciiOnly(environment: NodeJS.ProcessEnv = process.env): boolean {
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || '';
  return locale === 'C' || locale === 'POSIX';
}

/** Replaces the characters that the locale does not have. */
export function showable(text: string): string {
  if (!isAsciiOnly()) return text;
  return text.replaceAll(/[“”‘’…–—]/g, (sign) => IN_ASCII[sign] ?? sign).replaceAll(/[^\n\x20-\x7e]/gu, '?');
}

/** Whether standard error is a terminal that can redraw a line. */
export function canRedraw(): boolean {
  return process.stderr.isTTY && process.env['TERM'] !== 'dumb';
}
