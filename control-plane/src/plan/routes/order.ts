import { overlap, parseNetwork } from '../../model/network.js';
import type { RouteSpec, ValueCondition } from '../../model/route.js';

/*
 * Which of two routes is asked first: that with the more specific host (exact, then the longer suffix, then `*`), the exact path,
 * the longer prefix, the higher priority, more conditions. Two that are equal in all of that must not match the same request.
 */

/** How many conditions a route has beside its host and path. */
export function countConditions({
  regex,
  methods = [],
  headers = [],
  query = [],
  clients = [],
}: RouteSpec): number {
  const some = (list: readonly unknown[]): number => Math.min(list.length, 1);
  return (regex === undefined ? 0 : 1) + some(methods) + headers.length + query.length + some(clients);
}

/** Sorts by precedence, whatever the request; equal ones by `nameOf`, so that the order is always the same. */
export function comparePrecedence(a: RouteSpec, b: RouteSpec): number {
  return (
    hostRank(b.host) - hostRank(a.host) ||
    Number(b.match === 'exact') - Number(a.match === 'exact') ||
    b.path.length - a.path.length ||
    compareAtOnePath(a, b)
  );
}

/** The same of two with equal host and path. */
export function compareAtOnePath(a: RouteSpec, b: RouteSpec): number {
  return (b.priority ?? 0) - (a.priority ?? 0) || countConditions(b) - countConditions(a);
}

function hostRank(host: string): number {
  if (host === '*') return 0;
  return host.startsWith('*.') ? host.length : 1_000;
}

/** Host and path as one text: routes that differ in it are never ambiguous. */
export function placeOf({ host, path, match = 'prefix' }: RouteSpec): string {
  return `${host} ${match} ${path}`;
}

/** True if nothing says which of two routes gets a request that both match, and there may be such a request. */
export function areAmbiguous(a: RouteSpec, b: RouteSpec): boolean {
  return placeOf(a) === placeOf(b) && compareAtOnePath(a, b) === 0 && !areDisjoint(a, b);
}

/** True if no request can match both, as far as that is seen without looking into patterns. */
function areDisjoint(a: RouteSpec, b: RouteSpec): boolean {
  const [methods, others] = [a.methods ?? [], b.methods ?? []];
  if (methods.length > 0 && others.length > 0 && !methods.some((one) => others.includes(one))) return true;
  if (excludeEachOther(a.headers ?? [], b.headers ?? [])) return true;
  if (excludeEachOther(a.query ?? [], b.query ?? [])) return true;
  const [clients, strangers] = [networksOf(a), networksOf(b)];
  if (clients.length === 0 || strangers.length === 0) return false;
  return !clients.some((one) => strangers.some((other) => overlap(one, other)));
}

function networksOf({ clients = [] }: RouteSpec) {
  return clients.flatMap((text) => parseNetwork(text) ?? []);
}

function excludeEachOther(a: readonly ValueCondition[], b: readonly ValueCondition[]): boolean {
  return a.some((one) => b.some((other) => one.name === other.name && haveNoValue(one, other)));
}

/** True if no value meets both conditions. */
function haveNoValue(a: ValueCondition, b: ValueCondition): boolean {
  if (a.present === false || b.present === false) return (a.present ?? true) !== (b.present ?? true);
  if (a.exact !== undefined) return !meetsText(b, a.exact);
  if (b.exact !== undefined) return !meetsText(a, b.exact);
  if (a.prefix === undefined || b.prefix === undefined) return false;
  return !a.prefix.startsWith(b.prefix) && !b.prefix.startsWith(a.prefix);
}

/** True if `text` may meet the condition; patterns are not looked into. */
function meetsText({ exact, prefix }: ValueCondition, text: string): boolean {
  if (exact !== undefined) return exact === text;
  return prefix === undefined || text.startsWith(prefix);
}
