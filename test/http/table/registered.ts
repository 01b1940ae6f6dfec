/** The routes that the service has, from where they are registered. */
import { type AppParts, createRoutes } from '../../../server/http/app.ts';
import { parseConfig } from '../../../server/config/parse.ts';
import { send, TUS } from '../../harness/tus.ts';

/** Of the real routers, as `GET /check`; HEAD goes with GET. Nothing is asked, so that their parts are not called. */
export function routesOfRouter(): string[] {
  const routers = Object.values(createRoutes({ config: parseConfig({}) } as AppParts));
  return routers.flatMap(({ stack }) =>
    stack.flatMap(({ path, methods }) =>
      methods.filter((method) => method !== 'HEAD').map((method) => `${method} ${String(path)}`),
    ),
  );
}

/** Of the upload protocols, which stand before the router: what a running service says that it allows. */
export async function routesOfProtocols(base: string): Promise<string[]> {
  const found = await Promise.all(
    [TUS, { 'Upload-Draft-Interop-Version': '10' }].map((spoken) => routesOf(base, spoken)),
  );
  return [...new Set(found.flat())];
}

async function routesOf(base: string, spoken: Record<string, string>): Promise<string[]> {
  const found: string[] = [];
  for (const [path, shown] of [
    ['/uploads', '/uploads'],
    ['/uploads/x', '/uploads/:id'],
    ['/s/x/uploads', '/s/:secret/uploads'],
    ['/s/x/uploads/x', '/s/:secret/uploads/:id'],
  ]) {
    const { status, headers } = await send('TRACE', base + path, { headers: spoken });
    if (status !== 405) throw new Error(`TRACE ${path} is ${status}: nothing tells what it allows`);
    const allowed = (headers.allow ?? '').split(', ').filter((method) => method !== 'OPTIONS');
    found.push(...allowed.map((method) => `${method} ${shown}`));
  }
  return found;
}
