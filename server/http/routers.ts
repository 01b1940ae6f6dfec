/** Routes in their groups: those that this process does not serve are known, so that their refusal says so (`SERVICES`). */
import Router from '@koa/router';
import type Koa from 'koa';
import { ROUTE_GROUPS, type RouteGroup, type ServiceGroup } from '../config/config.ts';
import type { Refusal } from '../refusal.ts';
import { TidemarkError } from '../uploads/errors.ts';
import { refusal } from './refusals.ts';
import type { RequestState } from './state.ts';

type Routes = Router<RequestState>;

/** A router for each group. `health` is served by every process. */
export type Routers = Record<RouteGroup | 'health', Routes>;

export function createRouters(): Routers {
  return { health: new Router(), uploads: new Router(), files: new Router(), api: new Router(), page: new Router() };
}

/** Serves the routes of these groups, and refuses everything else. */
export function serveRoutes(app: Koa<RequestState>, routers: Routers, services: readonly ServiceGroup[]): void {
  const isServed = (group: RouteGroup): boolean => services.includes(group);
  const served = [routers.health, ...ROUTE_GROUPS.filter(isServed).map((group) => routers[group])];
  const others = ROUTE_GROUPS.filter((group) => !isServed(group)).map((group) => routers[group]);

  for (const router of served) app.use(router.routes());
  app.use(({ path, method }) => {
    if (others.some((router) => router.match(path, method).route)) throw notServedHere();
    const allowed = methodsOf(served, path);
    if (allowed.size > 0) {
      throw refusal('method_not_allowed', { headers: { Allow: [...allowed, 'OPTIONS'].join(', ') } });
    }
    if (methodsOf(others, path).size > 0) throw notServedHere();
    throw new TidemarkError('not_found');
  });
}

/** The refusal of a route whose group this process does not serve. */
export function notServedHere(): Refusal {
  return refusal('not_served_here');
}

/** What the routers have for a path. */
function methodsOf(routers: readonly Routes[], path: string): Set<string> {
  return new Set(routers.flatMap((router) => router.match(path, '').path.flatMap(({ methods }) => methods)));
}
