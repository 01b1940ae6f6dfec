/**
 * Which addresses are the service's own. The service hands out addresses with the host name under which it believes to be
 * reached. Behind a proxy, or under a second name, that host is wrong, and a client must not send its token there. So a
 * client requests the path of such an address from the host that it knows.
 */

export interface OwnAddress {
  /** `upload`: in progress. `content`: bytes by their MD5. `file`: an entry of the catalog. */
  kind: 'upload' | 'content' | 'file';
  /** The id, or the content's name without an extension. */
  name: string;
  /** Below the service's base, with a slash at its beginning. */
  path: string;
}

/**
 * The service's base may end in `/api`, and then `/api/files/<MD5>` is a content, too. The id of a file always has hyphens,
 * so it never looks like an MD5.
 */
const CONTENT = String.raw`[0-9a-fA-F]{32}(?:-\d+)?(?:\.[^/]*)?$`;
const OWN = new RegExp(String.raw`/(?:api/files/(?!${CONTENT})([^/]+)(?:/content)?|(uploads|files)/([^/]+))$`);

/** A download link. */
export interface LinkAddress {
  /** The service's, without a slash at its end. */
  base: string;
  /** Below the base: `/s/<secret>`. */
  path: string;
}

/** Reads the whole address of a link, also as a browser shows it; null for any other text. */
export function readLinkAddress(given: string): LinkAddress | null {
  const text = given.trim();
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return null;
  const { origin, pathname } = new URL(text);
  const match = /^(.*)(\/s\/[\w-]{32})\/?$/.exec(pathname);
  return match ? { base: origin + (match[1] ?? ''), path: match[2] ?? '' } : null;
}

/** Reads an address that the service handed out; null for any other address. */
export function readOwnAddress(address: string): OwnAddress | null {
  if (!URL.canParse(address, 'http://service')) return null;
  const match = OWN.exec(new URL(address, 'http://service').pathname);
  if (!match) return null;
  const [path, id, folder, name = ''] = match;
  if (id !== undefined) return { kind: 'file', name: id, path };
  if (folder === 'uploads') return { kind: 'upload', name, path };
  return { kind: 'content', name: name.split('.', 1)[0] ?? '', path };
}

/** The path of an address below the service's base; null when the address is not the service's own. */
export function ownPath(address: string): string | null {
  return readOwnAddress(address)?.path ?? null;
}

/** Whether two addresses name the same resource of the service, whatever hosts they give. */
export function isSameResource(one: string, other: string): boolean {
  const path = ownPath(one);
  return path !== null && path === ownPath(other);
}

/** Whether a value that was kept is the address of an upload: what is kept may have been damaged. */
export function isUploadAddress(value: unknown): value is string {
  return typeof value === 'string' && URL.canParse(value) && readOwnAddress(value)?.kind === 'upload';
}
