import { NO_INTENT, type RouteSpec, type ServiceEvent, type StoredIntent } from '../model/intent.js';
import { ROUTES } from '../model/names.js';
import type { RegistryState, RegistryView } from '../model/registration.js';
import type { ReleaseTraffic } from '../model/release.js';
import type { EncodedDocument, PublishedDocument } from '../model/set.js';
import {
  compileRoutes,
  compileService,
  spellFallback,
  type CompiledService,
  type RouteClash,
} from '../plan/compile.js';
import { encode } from '../plan/encode.js';
import {
  membersOf,
  observe,
  type Membership,
  type MembershipRules,
  type ServiceMembers,
} from '../plan/membership.js';
import { inForce, wishOf } from '../plan/record.js';
import { effectiveSpec } from '../plan/spec.js';

/** How many remembered registration events a service keeps. */
const KEPT_RECENT = 50;

type Intents = ReadonlyMap<string, StoredIntent>;
/** What running releases ask for, by service. */
export type Traffic = ReadonlyMap<string, ReleaseTraffic>;
const NO_TRAFFIC: Traffic = new Map();

interface Looked {
  readonly view: RegistryView;
  readonly intents: Intents;
  readonly membership: Membership;
  readonly settleUntil: number;
}

/** Services for which it cannot be read what was decided: their sets and routes stay as they were published. */
export interface Withheld {
  /** Service → why. */
  readonly services: ReadonlyMap<string, string>;
  readonly published: ReadonlyMap<string, EncodedDocument>;
}

interface Compiled {
  readonly members: ServiceMembers;
  readonly record: StoredIntent['record'];
  readonly release: ReleaseTraffic | null;
  readonly result: CompiledService;
  readonly encoded: EncodedDocument;
}

/**
 * What should be published, from what was read: membership carried from view to view, sets compiled only for services in
 * which something changed. Knows no I/O; the controller feeds it.
 */
export class DesiredState {
  readonly #rules: MembershipRules;
  readonly #cache = new Map<string, Compiled>();
  #view: RegistryView | null = null;
  #unknown: { readonly reason: string; readonly since: number } | null = null;
  #settleUntil = -Infinity;
  /** What was published before this controller started; joins the membership at the next look. */
  #remembered: { readonly published: readonly PublishedDocument[]; readonly now: number } | null = null;
  /** What the last look was made from, and what came out: while none of it moves there is nothing to see. */
  #seen: Looked | null = null;
  #membership: Membership = new Map();
  #protections: ReadonlyMap<string, string> = new Map();
  #recent = new Map<string, readonly ServiceEvent[]>();
  #wakeAt = Infinity;
  /** The time at the last look, for what is told. */
  #wall = 0;
  #routes: { readonly clashes: readonly RouteClash[]; readonly encoded: EncodedDocument } | null = null;
  #routesFrom: { readonly intents: Intents; readonly withheld: Withheld['services'] } | null = null;

  constructor(rules: MembershipRules) {
    this.#rules = rules;
  }

  get view(): RegistryView | null {
    return this.#view;
  }
  get membership(): Membership {
    return this.#membership;
  }
  get protections(): ReadonlyMap<string, string> {
    return this.#protections;
  }
  get recent(): ReadonlyMap<string, readonly ServiceEvent[]> {
    return this.#recent;
  }
  get clashes(): readonly RouteClash[] {
    return this.#routes?.clashes ?? [];
  }
  /** Monotonic moment at which membership changes by time alone. */
  get wakeAt(): number {
    return this.#wakeAt;
  }
  /** Why the registry cannot be read, or null. */
  get trouble(): string | null {
    return this.#unknown?.reason ?? this.#unreadRoot;
  }
  /** A root that may not be read; what lies below others goes on. */
  get #unreadRoot(): string | null {
    const root = this.#view?.unread.find(({ service }) => service === null);
    return root ? `${root.path} may not be read (${root.reason})` : null;
  }

  /** Since when, monotonic milliseconds; null while it can be read. */
  get troubleSince(): number | null {
    return this.#unknown?.since ?? null;
  }

  /** Takes a state of the registry. Only a complete one changes anything; the others are remembered as trouble. */
  take(state: RegistryState, now: number): void {
    if (state.status !== 'complete') {
      this.#unknown ??= { reason: state.reason, since: now };
      return;
    }
    this.#unknown = null;
    this.#view = state.view;
    if (state.gap) this.#settleUntil = now + this.#rules.settle_ms;
  }

  /** Adds what was published before this controller started and is not registered: it vanished, nobody knows when. */
  remember(published: readonly PublishedDocument[], now: number): void {
    this.#remembered = { published, now };
    this.#settleUntil = Math.max(this.#settleUntil, now + this.#rules.settle_ms);
  }

  /** This process stood still: what looks overdue by the clock may have come back meanwhile. */
  stoodStill(now: number): void {
    this.#settleUntil = Math.max(this.#settleUntil, now + this.#rules.settle_ms);
  }

  /** Removes members that are gone and proven empty. */
  drop(service: string, ids: readonly string[]): void {
    const members = new Map(this.#membership.get(service));
    for (const id of ids) members.delete(id);
    const membership = new Map(this.#membership);
    if (members.size > 0) membership.set(service, members);
    else membership.delete(service);
    this.#membership = membership;
  }

  /**
   * Brings membership up to `now`. Nothing happens before the first complete view, nor while the registry cannot be read:
   * unknown is not empty, and time alone takes nobody out then.
   */
  observe(
    intents: Intents,
    now: number,
    { wall, due }: { readonly wall: number; readonly due: number },
    traffic: Traffic = NO_TRAFFIC,
  ): void {
    this.#wall = wall;
    const view = this.#view;
    if (!view) return;
    this.#joinRemembered(intents, traffic);
    if (this.#unknown) this.#seen = null;
    if (this.#unknown) this.#wakeAt = Infinity;
    if (this.#unknown || !this.#hasNews(view, intents, now)) return;
    const observation = observe({
      previous: this.#membership,
      view,
      now,
      settle_until: this.#settleUntil,
      rules: this.#rules,
      takenOut: (service, id) =>
        inForce(wishOf(intents.get(service)?.record.instances ?? {}, id), due)?.state !== undefined ||
        traffic.get(service)?.draining.includes(id) === true,
      minAvailable: (service) => effectiveSpec(intents.get(service)?.record.spec ?? {}).min_available,
    });
    const { membership } = observation;
    this.#membership = membership;
    this.#protections = observation.protections;
    this.#wakeAt = observation.wake_at;
    this.#seen = { view, intents, membership, settleUntil: this.#settleUntil };
    const at = new Date(wall).toISOString();
    for (const { service, instance, event, message } of observation.events)
      this.tell(service, { at, event, by: 'registry', instance, message: `${instance} ${message}` });
  }

  /** Remembers what nobody decided; only the newest of it is kept. */
  tell(service: string, event: ServiceEvent): void {
    const before = this.#recent.get(service) ?? [];
    this.#recent.set(service, [...before, event].slice(-KEPT_RECENT));
  }

  #hasNews(view: RegistryView, intents: Intents, now: number): boolean {
    const seen = this.#seen;
    return (
      seen?.view !== view ||
      seen.intents !== intents ||
      seen.membership !== this.#membership ||
      seen.settleUntil !== this.#settleUntil ||
      now >= this.#wakeAt
    );
  }

  #joinRemembered(intents: Intents, traffic: Traffic): void {
    if (!this.#remembered) return;
    const { published, now } = this.#remembered;
    this.#remembered = null;
    const isShared = (service: string): boolean =>
      Object.keys(traffic.get(service)?.shares ?? intents.get(service)?.record.versions ?? {}).length > 0;
    const merged = new Map(this.#membership);
    for (const [service, remembered] of membersOf(published, now, isShared))
      merged.set(service, new Map([...remembered, ...(merged.get(service) ?? [])]));
    this.#membership = merged;
  }

  /** Every set that should stand, by service, and what it was compiled from. */
  compile(
    intents: Intents,
    due: number,
    withheld: Withheld,
    traffic: Traffic = NO_TRAFFIC,
  ): {
    readonly documents: ReadonlyMap<string, EncodedDocument>;
    readonly compiled: ReadonlyMap<string, CompiledService>;
  } {
    const documents = new Map<string, EncodedDocument>();
    const compiled = new Map<string, CompiledService>();
    const names = new Set([...this.#membership.keys(), ...intents.keys(), ...withheld.services.keys()]);
    for (const service of names) {
      const why = withheld.services.get(service);
      const { result, encoded } =
        why === undefined
          ? this.#compileOne(service, intents.get(service), traffic.get(service) ?? null, due)
          : asPublished(service, withheld.published.get(service), why);
      if (encoded) documents.set(service, encoded);
      compiled.set(service, result);
    }
    for (const known of [this.#cache, this.#recent])
      for (const service of known.keys()) if (!names.has(service)) known.delete(service);
    documents.set(ROUTES, this.#compileRoutes(intents, withheld));
    return { documents, compiled };
  }

  #compileOne(
    service: string,
    stored: StoredIntent | undefined,
    release: ReleaseTraffic | null,
    due: number,
  ): Compiled {
    const members = this.#membership.get(service) ?? new Map<string, never>();
    const record = stored?.record ?? NO_INTENT;
    const cached = this.#cache.get(service);
    const same =
      cached?.record === record &&
      cached.release === release &&
      (cached.members === members || cached.members.size + members.size === 0);
    if (same && due < cached.result.valid_until) return cached;
    const result = compileService(service, members, record, due, release);
    const compiled = { members, record, release, result, encoded: encode(result.set) };
    this.#tellFallback(service, cached?.result.fallback ?? null, compiled, this.#wall);
    this.#cache.set(service, compiled);
    return compiled;
  }

  /** An event when the version before begins or ends to serve instead. */
  #tellFallback(service: string, before: string | null, { record, result }: Compiled, wall: number): void {
    const { fallback } = result;
    if (fallback === before) return;
    const message =
      fallback === null ? `${before ?? ''} does not serve instead any more` : spellFallback(record, fallback);
    const event = fallback === null ? 'fallback_ended' : 'fell_back';
    const line: ServiceEvent = { at: new Date(wall).toISOString(), event, by: 'controller', message };
    this.#recent.set(service, [...(this.#recent.get(service) ?? []), line].slice(-KEPT_RECENT));
  }

  #compileRoutes(intents: Intents, withheld: Withheld): EncodedDocument {
    if (
      this.#routes &&
      this.#routesFrom?.intents === intents &&
      this.#routesFrom.withheld === withheld.services
    )
      return this.#routes.encoded;
    const records = new Map([...intents].map(([service, stored]) => [service, stored.record]));
    for (const [service, routes] of routesIn(withheld.published.get(ROUTES)))
      if (withheld.services.has(service)) records.set(service, { ...NO_INTENT, spec: { routes } });
    const { table, clashes } = compileRoutes(records);
    this.#routes = { clashes, encoded: encode(table) };
    this.#routesFrom = { intents, withheld: withheld.services };
    return this.#routes.encoded;
  }
}

function asPublished(
  service: string,
  encoded: EncodedDocument | undefined,
  why: string,
): { readonly result: CompiledService; readonly encoded: EncodedDocument | undefined } {
  const document = encoded?.document;
  const peers = document && 'peers' in document ? document.peers : [];
  const set = document && 'peers' in document ? document : emptySet(service);
  const sentence = `kept as it was published: what was decided for ${service} cannot be read (${why})`;
  const explained = new Map(peers.map((peer) => [peer.id, { peer, why: [sentence] }]));
  return { result: { set, explained, valid_until: Infinity, fallback: null }, encoded };
}

function emptySet(service: string): CompiledService['set'] {
  return compileService(service, new Map(), NO_INTENT, 0).set;
}

function routesIn(encoded: EncodedDocument | undefined): ReadonlyMap<string, readonly RouteSpec[]> {
  const routes = new Map<string, RouteSpec[]>();
  const document = encoded?.document;
  if (!document || !('routes' in document)) return routes;
  for (const { host, path, service } of document.routes)
    routes.set(service, [...(routes.get(service) ?? []), { host, path }]);
  return routes;
}
