/**
 * The page of an upload link: its uploads are those of the link, and of the service it sees nothing else. The same queue sends
 * them; this is what is different for its requests.
 */
import type { FileJson } from '../../../server/wire/files.ts';
import type { SentJson } from '../../../server/wire/links.ts';

/** Whether this is the page of an upload link. */
export function isByLink(): boolean {
  return document.body.classList.contains('by-link');
}

/** What the sender says of themselves, as metadata of an upload. */
export function saidBySender(): Record<string, string> {
  if (!isByLink()) return {};
  const valueOf = (id: string): string => document.querySelector<HTMLInputElement>(`#${id}`)?.value.trim() ?? '';
  const [sender, note] = [valueOf('sender'), valueOf('note')];
  return { ...(sender === '' ? {} : { sender }), ...(note === '' ? {} : { note }) };
}

/** The id of an upload, which stands for the file that it became: the file's own is not told. */
export function uploadIdOf(url: string): string {
  return url.slice(url.lastIndexOf('/') + 1);
}

/** What a sender is told of a published file, in the form of a file. */
export function fileOfSent(id: string, { name, size, md5 }: SentJson): FileJson {
  return { id, name: name ?? '', size: size ?? 0, md5: md5 ?? '', type: null, uploadedAt: '', url: '' };
}
