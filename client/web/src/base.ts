/** Addresses of the service as this page uses them: below the page's own origin, whatever host the service hands out. */
import { ownPath } from '../../core/addresses.ts';
import { byId } from './dom.ts';

/** The form's action is `<base>file/upload`, so it shows the path below which the service is, also behind a proxy. */
const BASE = new URL('../', byId<HTMLFormElement>('drop').action);

export function serviceUrl(path: string): string {
  return new URL(path, BASE).href;
}

/** An address that the service handed out, moved to this page's origin; any other address as it is. */
export function ownUrl(url: string): string {
  const path = ownPath(url);
  return path === null ? url : serviceUrl(path.slice(1));
}
