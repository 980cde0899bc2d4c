import type { RouteSpec } from '../../model/route.js';
import { sha1 } from '../encode.js';
import { routeOnWire } from '../spec.js';

/** What of host and path a derived name shows at most. */
const SHOWN = 100;

/** A route's name: what was decided, else one made from its host and path, and of all else if it says more than those. */
export function routeName(route: RouteSpec): string {
  if (route.name !== undefined) return route.name;
  const { host, path, ...more } = routeOnWire(route);
  const place = host + path;
  if (Object.keys(more).length === 0 && place.length <= SHOWN) return place;
  return `${place.slice(0, SHOWN)}#${sha1(JSON.stringify([host, path, more])).slice(0, 6)}`;
}
