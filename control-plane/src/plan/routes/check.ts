import { MOST_AT_ONE_PATH, MOST_REGEX_OF_HOST, spellRoute, type RouteSpec } from '../../model/route.js';
import { routeName } from './name.js';
import { areAmbiguous, countConditions, placeOf } from './order.js';

/** Why a service may not have the routes that it wants. `taken`: because of another service; else because of the routes themselves. */
export interface RouteRefusal {
  readonly taken: boolean;
  readonly sentences: readonly string[];
}

/** Checks the routes that `service` wants, against each other and against those of all other services; null if all is well. */
export function checkRoutes(
  service: string,
  wanted: readonly RouteSpec[],
  all: ReadonlyMap<string, readonly RouteSpec[]>,
): RouteRefusal | null {
  const others = [...all]
    .filter(([name]) => name !== service)
    .flatMap(([name, routes]) => routes.map((route) => ({ name, route })));
  const taken = takenBy(wanted, others);
  if (taken.length > 0) return { taken: true, sentences: taken };
  const own = [...rivalsWithin(wanted), ...tooMany(wanted, others)];
  return own.length === 0 ? null : { taken: false, sentences: own };
}

interface Owned {
  readonly name: string;
  readonly route: RouteSpec;
}

function takenBy(wanted: readonly RouteSpec[], others: readonly Owned[]): readonly string[] {
  const places = grouped(wanted, placeOf);
  return others.flatMap(({ name, route }) => {
    const rival = places.get(placeOf(route))?.find((one) => areAmbiguous(one, route));
    if (!rival) return [];
    const isWhole = countConditions(rival) === 0 && countConditions(route) === 0;
    if (isWhole) return [`The route ${spellRoute(route)} belongs to ${name}. Remove it there first`];
    return [
      `The route ${routeName(rival)} (${spellRoute(rival)}) and ${routeName(route)} (${spellRoute(route)}) of ${name} may match the same request, and nothing says which has it. ${MEND}`,
    ];
  });
}

const MEND = 'Give one of them a higher priority, or a condition more';

function rivalsWithin(wanted: readonly RouteSpec[]): readonly string[] {
  return [...grouped(wanted, placeOf).values()].flatMap((at) =>
    at.flatMap((route, index) => {
      const rival = at.slice(0, index).find((one) => areAmbiguous(one, route));
      if (!rival) return [];
      return [
        `The routes ${routeName(rival)} (${spellRoute(rival)}) and ${routeName(route)} (${spellRoute(route)}) may match the same request, and nothing says which has it. ${MEND}`,
      ];
    }),
  );
}

/** What would make a gateway look at too much for one request. */
function tooMany(wanted: readonly RouteSpec[], others: readonly Owned[]): readonly string[] {
  const all = [...wanted, ...others.map(({ route }) => route)];
  const hosts = new Set(wanted.filter(usesRegex).map(({ host }) => host));
  const places = new Set(wanted.filter((one) => countConditions(one) > 0).map(placeOf));
  const patterns = [...hosts].flatMap((host) => {
    const count = all.filter((one) => one.host === host && usesRegex(one)).length;
    if (count <= MOST_REGEX_OF_HOST) return [];
    return [
      `The host ${host} would have ${String(count)} routes with a regex, and may have ${String(MOST_REGEX_OF_HOST)}`,
    ];
  });
  const crowds = [...places].flatMap((place) => {
    const count = all.filter((one) => placeOf(one) === place).length;
    if (count <= MOST_AT_ONE_PATH) return [];
    return [`${place} would have ${String(count)} routes, and may have ${String(MOST_AT_ONE_PATH)}`];
  });
  return [...patterns, ...crowds];
}

function usesRegex({ regex, headers = [], query = [] }: RouteSpec): boolean {
  return regex !== undefined || [...headers, ...query].some((one) => one.regex !== undefined);
}

function grouped<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
