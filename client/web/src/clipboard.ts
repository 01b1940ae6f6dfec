/** Copies texts. */
import { make } from './dom.ts';

/** The Clipboard API exists in secure contexts alone, which plain HTTP to another machine is not. */
export async function copyText(text: string): Promise<boolean> {
  try {
    if (navigator.clipboard) {
      await navigator.clipboard.writeText(text);
      return true;
    }
  } catch {
    // Refused: try the older way.
  }
  const area = make('textarea', { value: text, readOnly: true, className: 'unseen' });
  document.body.append(area);
  area.select();
  const copied = document.execCommand('copy');
  area.remove();
  return copied;
}
