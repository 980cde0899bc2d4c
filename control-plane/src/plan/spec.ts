import { own, put } from '../model/dictionary.js';
import type { ServiceSpec } from '../model/intent.js';
import type { EffectiveSections, EffectiveSpec } from '../model/resources.js';
import type { SpecPatch } from '../model/mutation.js';
import { MOST_ROUTES, ROUTE_MEMBERS, routeContradictions, type RouteSpec } from '../model/route.js';
import { contradictions, SECTIONS } from '../model/service_spec.js';
import type { Breaker } from '../model/breaker.js';
import type { Auth } from '../model/auth.js';
import type { Concurrency } from '../model/concurrency.js';
import type { Limit } from '../model/limit.js';
import type { Balancer, Health, Retry, Timeouts, Upstream } from '../model/set.js';
import {
  isDefault,
  isObject,
  onWire,
  readMembers,
  readValue,
  withDefaults,
  type Fault,
  type Members,
  type Rule,
} from '../model/shape.js';

/** Specs never change, and each is asked about at every pass and every look. */
const EFFECTIVE = new WeakMap<ServiceSpec, EffectiveSpec>();

/** Fills the defaults in. */
export function effectiveSpec(spec: ServiceSpec): EffectiveSpec {
  const known = EFFECTIVE.get(spec);
  if (known) return known;
  const sections = withDefaults(SECTIONS, spec) as unknown as EffectiveSections;
  const { routes = [], min_available = 1, version_fallback = true } = spec;
  const filled = { routes, ...sections, min_available, version_fallback };
  EFFECTIVE.set(spec, filled);
  return filled;
}

/** The sections of a set, as they are published: without what equals its default. */
export interface WireSections {
  readonly balancer: Balancer;
  readonly timeouts: Timeouts;
  readonly retry: Retry;
  readonly health: Health;
  readonly breaker?: Breaker;
  readonly auth?: Auth;
  readonly concurrency?: Concurrency;
  readonly limits?: readonly Limit[];
  readonly upstream?: Upstream;
}

/** Equal specs give equal sections, in the order of the wire. */
export function wireSections(sections: WireSections | EffectiveSections): WireSections {
  return onWire(SECTIONS, { ...sections }) as unknown as WireSections;
}

/** A route as it is published, but for its service: equal ones have equal bytes, whatever was said that is so anyway. */
export function routeOnWire(route: RouteSpec): RouteSpec {
  const { host, path } = route;
  return { host, path, ...onWire(ROUTE_MEMBERS, withDefaults(ROUTE_MEMBERS, route)) };
}

/** What of a published set somebody must have decided: the spec that gives these sections, and says nothing else. */
export function decidedIn(sections: WireSections): ServiceSpec {
  return withoutDefaults(SECTIONS, { ...sections });
}

function withoutDefaults(members: Members, values: Json, whole = false): Json {
  const decided = Object.entries(members).flatMap(
    ([name, member]): readonly (readonly [string, unknown])[] => {
      const value = own(values, name);
      if (value === undefined) return [];
      const { rule, fallback } = member;
      if (rule.kind === 'object' && isObject(value)) {
        // An optional object says something by being there at all.
        const inner = withoutDefaults(rule.members, value, fallback === null);
        return fallback === null || Object.keys(inner).length > 0 ? [[name, inner]] : [];
      }
      if (rule.kind === 'objects' && Array.isArray(value)) {
        const items = value.map((item: unknown) =>
          isObject(item) ? withoutDefaults(rule.members, item) : item,
        );
        return items.length > 0 ? [[name, items]] : [];
      }
      return isDefault(member, value) && !(whole && member.always === true) ? [] : [[name, value]];
    },
  );
  return Object.fromEntries(decided);
}

/**
 * `spec` after a merge patch (RFC 7396): null takes a member away, objects are merged, all else replaces. A section in which
 * nothing is left says nothing, and is left out.
 */
export function mergeSpec(spec: ServiceSpec, patch: SpecPatch): ServiceSpec {
  const merged = merge(spec as Json, patch);
  for (const name of Object.keys(SECTIONS)) {
    const section = own(merged, name);
    if (isObject(section) && Object.keys(section).length === 0) Reflect.deleteProperty(merged, name);
  }
  return merged;
}

type Json = Readonly<Record<string, unknown>>;

function merge(before: Json, patch: Json): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    const old = own(merged, name);
    if (value === null) Reflect.deleteProperty(merged, name);
    else put(merged, name, isObject(value) ? merge(isObject(old) ? old : {}, value) : value);
  }
  return merged;
}

/** What routes may say; their hosts and paths are checked where they come in. */
const anyText = { kind: 'form', fits: () => true, hint: 'a text', good: [], bad: [] } as const;
const ROUTES_RULE: Rule = {
  kind: 'objects',
  members: { host: { rule: anyText, doc: '' }, path: { rule: anyText, doc: '' }, ...ROUTE_MEMBERS },
  most: MOST_ROUTES,
};

/** What in a spec is missing or does not go together, each a sentence that names its member. */
export function specFaults(spec: ServiceSpec): readonly Fault[] {
  const faults: Fault[] = [];
  const sections = Object.fromEntries(Object.entries(spec).filter(([name]) => Object.hasOwn(SECTIONS, name)));
  readMembers(SECTIONS, sections, 'spec', faults);
  readValue(ROUTES_RULE, spec.routes ?? [], 'spec', faults, ['routes']);
  if (faults.length > 0) return faults;
  const routes = (spec.routes ?? []).flatMap((route, index) =>
    routeContradictions(route).map(({ path, message }) => ({
      path: ['routes', String(index), ...path],
      message,
    })),
  );
  return [...routes, ...unknownRoutes(spec), ...contradictions(effectiveSpec(spec))];
}

/** Limits that name a route which the service has not: they would refuse nothing. */
function unknownRoutes({ limits = [], routes = [] }: ServiceSpec): readonly Fault[] {
  const known = routes.flatMap(({ name }) => name ?? []);
  return limits.flatMap(({ routes: named = [] }, index) =>
    named
      .filter((name) => !known.includes(name))
      .map((name) => {
        const message = `names ${name}, which no route of the service is called (${known.join(', ') || 'none has a name'}): give a route that name, or take it out`;
        return { path: ['limits', String(index), 'routes'], message };
      }),
  );
}

/** True if `after` decides all that `before` decides, and decides it the same way: then nobody's word is replaced. */
export function keepsAll(before: object, after: object): boolean {
  const kept = new Map<string, unknown>(Object.entries(after));
  return Object.entries(before).every(([name, value]: readonly [string, unknown]) => {
    const other = kept.get(name);
    if (isObject(value) && isObject(other)) return keepsAll(value, other);
    return JSON.stringify(value) === JSON.stringify(other);
  });
}
