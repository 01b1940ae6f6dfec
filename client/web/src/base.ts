/** Where the service is: below the page's own origin, whatever address it hands out for others. */
import { ownPath } from '../../core/addresses.ts';
import { byId } from './dom.ts';

/** The form stands in the page with the service's path, which a proxy may have put there: `<base>file/upload`. */
const BASE = new URL('../', byId<HTMLFormElement>('drop').action);

export function serviceUrl(path: string): string {
  return new URL(path, BASE).href;
}

/** An address that the service handed out, as this page may use it. */
export function ownUrl(url: string): string {
  const path = ownPath(url);
  return path === null ? url : serviceUrl(path.slice(1));
}
