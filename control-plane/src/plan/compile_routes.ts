import type { RouteSpec } from '../model/intent.js';
import type { EncodedDocument, Route, RouteTable } from '../model/set.js';
import { byCodeUnit } from './encode.js';

/** A route that two services want; the first by name has it. */
export interface RouteClash {
  readonly route: RouteSpec;
  readonly service: string;
  readonly taken_by: string;
}

/** All routes of all services, sorted by host, then path; each host and path belongs to one service. */
export function compileRoutes(wanted: ReadonlyMap<string, readonly RouteSpec[]>): {
  readonly table: RouteTable;
  readonly clashes: readonly RouteClash[];
} {
  const routes = new Map<string, Route>();
  const clashes: RouteClash[] = [];
  for (const service of [...wanted.keys()].sort(byCodeUnit)) {
    for (const { host, path } of wanted.get(service) ?? []) {
      const key = `${host} ${path}`;
      const taken = routes.get(key);
      if (taken && taken.service !== service)
        clashes.push({ route: { host, path }, service, taken_by: taken.service });
      else routes.set(key, { host, path, service });
    }
  }
  const sorted = [...routes.values()].sort(
    (a, b) => byCodeUnit(a.host, b.host) || byCodeUnit(a.path, b.path),
  );
  return { table: { v: 1, service: '@routes', routes: sorted }, clashes };
}

/** Service → its routes, as they are published. */
export function routesIn(published: EncodedDocument | undefined): ReadonlyMap<string, readonly RouteSpec[]> {
  const routes = new Map<string, RouteSpec[]>();
  const document = published?.document;
  if (!document || !('routes' in document)) return routes;
  for (const { host, path, service } of document.routes)
    routes.set(service, [...(routes.get(service) ?? []), { host, path }]);
  return routes;
}
