/** Copies texts to the clipboard. */
import { make } from './dom.ts';

/**
 * Copies a text. The Clipboard API exists only in secure contexts, and plain HTTP to another machine is not one: there, and
 * where the browser refuses, the older `execCommand` is used.
 *
 * @returns whether the text was copied.
 */
export async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // The browser refused.
  }
  const area = make('textarea', { value: text, readOnly: true, className: 'unseen' });
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  return copied;
}
