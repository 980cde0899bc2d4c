import type { RouteSpec } from '../model/route.js';
import type { EncodedDocument, Route, RouteTable } from '../model/set.js';
import { byCodeUnit } from './encode.js';
import { routeName } from './routes/name.js';
import { areAmbiguous, compareAtOnePath, placeOf } from './routes/order.js';
import { routeOnWire } from './spec.js';

/** A route that two services want, or that may match what one of another service matches; the first by name has it. */
export interface RouteClash {
  readonly route: RouteSpec;
  readonly service: string;
  readonly taken_by: string;
}

/** All routes of all services, sorted by host, then path; no two of them are ambiguous. */
export function compileRoutes(wanted: ReadonlyMap<string, readonly RouteSpec[]>): {
  readonly table: RouteTable;
  readonly clashes: readonly RouteClash[];
} {
  const places = new Map<string, Route[]>();
  const clashes: RouteClash[] = [];
  for (const service of [...wanted.keys()].sort(byCodeUnit)) {
    for (const spec of wanted.get(service) ?? []) {
      const route = { ...named(routeOnWire(spec)), service };
      const there = places.get(placeOf(route));
      const rival = there?.find((other) => areAmbiguous(route, other));
      if (rival && rival.service !== service) clashes.push({ route: spec, service, taken_by: rival.service });
      if (rival) continue;
      if (there) there.push(route);
      else places.set(placeOf(route), [route]);
    }
  }
  const sorted = [...places.values()]
    .flat()
    .sort(
      (a, b) =>
        byCodeUnit(a.host, b.host) ||
        byCodeUnit(a.path, b.path) ||
        byCodeUnit(a.match ?? 'prefix', b.match ?? 'prefix') ||
        compareAtOnePath(a, b) ||
        byCodeUnit(a.service, b.service) ||
        byCodeUnit(a.name ?? '', b.name ?? ''),
    );
  return { table: { v: 1, service: '@routes', routes: sorted }, clashes };
}

/** A route that says more than host and path has its name on the wire: logs show it. */
function named(route: RouteSpec): RouteSpec {
  return Object.keys(route).length === 2 ? route : { ...route, name: routeName(route) };
}

/** Service → its routes, as they are published. */
export function routesIn(published: EncodedDocument | undefined): ReadonlyMap<string, readonly RouteSpec[]> {
  const routes = new Map<string, RouteSpec[]>();
  const document = published?.document;
  if (!document || !('routes' in document)) return routes;
  for (const { service, ...route } of document.routes)
    routes.set(service, [...(routes.get(service) ?? []), route]);
  return routes;
}
