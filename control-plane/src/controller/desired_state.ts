import { type ContractVersion, OLDEST_CONTRACT } from '../model/contract.js';
import { NO_INTENT, type ServiceEvent, type StoredIntent } from '../model/intent.js';
import { ROUTES } from '../model/names.js';
import type { RegistryState, RegistryView } from '../model/registration.js';
import type { ReleaseTraffic } from '../model/release.js';
import type { EncodedDocument, PublishedDocument } from '../model/set.js';
import { compileService, spellFallback, type CompiledService } from '../plan/compile.js';
import { compileRoutes, routesIn, type RouteClash } from '../plan/compile_routes.js';
import { encode } from '../plan/encode.js';
import { differing, remembered, sameObjects, sameOr, Successor } from '../plan/incremental.js';
import type { Membership, MembershipRules, ServiceMembers } from '../plan/membership.js';
import { observe, type Observation } from '../plan/observe.js';
import { membersOf } from '../plan/remembered.js';
import { asPublished, wantedRoutes, writtenAs, type Withheld } from '../plan/withheld.js';

export type { Withheld } from '../plan/withheld.js';

/** How many remembered registration events a service keeps. */
const KEPT_RECENT = 50;

type Intents = ReadonlyMap<string, StoredIntent>;
/** What running releases ask for, by service. */
export type Traffic = ReadonlyMap<string, ReleaseTraffic>;
const NO_TRAFFIC: Traffic = new Map();
const NO_HOLDS: Observation['holds'] = new Map();
const NOBODY: ServiceMembers = new Map();

/** Every set that should be published, by service, and what it was compiled from. */
export interface Desired {
  readonly documents: ReadonlyMap<string, EncodedDocument>;
  readonly compiled: ReadonlyMap<string, CompiledService>;
}

/** One service as it was compiled, and what from: while none of it is another object, and its time has not come, it is right. */
interface Compiled {
  readonly members: ServiceMembers;
  readonly record: StoredIntent['record'];
  readonly release: ReleaseTraffic | null;
  readonly contract: ContractVersion;
  readonly result: CompiledService;
  readonly encoded: EncodedDocument;
}

/** All services as they were compiled, and what from. */
interface CompiledAll {
  readonly from: readonly [Membership, Intents, Withheld, Traffic, ContractVersion];
  readonly desired: Desired;
}

/**
 * What should be published, from what was read. Every call says it of the whole state; what is made from the same objects as
 * before is not made again, so a call costs what has changed. Does no I/O; the controller feeds it.
 */
export class DesiredState {
  readonly #rules: MembershipRules;
  readonly #cache = new Map<string, Compiled>();
  readonly #compileRoutes = remembered((wanted: ReturnType<typeof wantedRoutes>) => {
    const { table, clashes } = compileRoutes(wanted);
    return { encoded: encode(table), clashes };
  });
  #view: RegistryView | null = null;
  #unknown: { readonly reason: string; readonly since: number } | null = null;
  #settleUntil = -Infinity;
  /** What was published before this controller started; joins the membership at the next look. */
  #remembered: { readonly published: readonly PublishedDocument[]; readonly now: number } | null = null;
  #membership: Membership = new Map();
  /** What was seen at the last look, and from what: while none of it is another object there is nothing new. */
  #seen: { readonly from: readonly unknown[]; readonly observation: Observation } | null = null;
  #recent = new Map<string, readonly ServiceEvent[]>();
  /** The wall clock at the last look, for events. */
  #wall = 0;
  #routes: ReturnType<typeof wantedRoutes> = new Map();
  #clashes: readonly RouteClash[] = [];
  #all: CompiledAll | null = null;
  /** Service → when it must be compiled again, of those that must. */
  readonly #limited = new Map<string, number>();

  constructor(rules: MembershipRules) {
    this.#rules = rules;
  }

  get view(): RegistryView | null {
    return this.#view;
  }
  get membership(): Membership {
    return this.#membership;
  }
  /** Service → why its removals wait; the same object while nothing changed. */
  get holds(): Observation['holds'] {
    return this.#seen?.observation.holds ?? NO_HOLDS;
  }
  get recent(): ReadonlyMap<string, readonly ServiceEvent[]> {
    return this.#recent;
  }
  get clashes(): readonly RouteClash[] {
    return this.#clashes;
  }
  /** Monotonic moment at which membership changes by time alone; none while the registry cannot be read. */
  get wakeAt(): number {
    return this.#unknown ? Infinity : (this.#seen?.observation.wake_at ?? Infinity);
  }
  /** Why the registry cannot be read, or null. */
  get problem(): string | null {
    return this.#unknown?.reason ?? this.#unreadRoot;
  }
  /** A root that may not be read; what lies below others goes on. */
  get #unreadRoot(): string | null {
    const root = this.#view?.unread.find(({ service }) => service === null);
    return root ? `${root.path} may not be read (${root.reason})` : null;
  }

  /** Since when, monotonic milliseconds; null while it can be read. */
  get problemSince(): number | null {
    return this.#unknown?.since ?? null;
  }

  /** Takes a state of the registry. Only a complete one changes anything; the others are remembered as a problem. */
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

  /** This process was paused: what looks overdue by the clock may have come back meanwhile. */
  paused(now: number): void {
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
    if (this.#unknown) return;
    const known = this.#seen?.observation;
    const from = (): readonly unknown[] => [view, intents, traffic, this.#membership, this.#settleUntil];
    const isDue = known !== undefined && (now >= known.wake_at || due >= known.valid_until);
    if (this.#seen && !isDue && sameObjects(this.#seen.from, from())) return;
    const observation = observe(
      {
        ...{ previous: this.#membership, view, now, due, intents, traffic },
        ...{ settle_until: this.#settleUntil, rules: this.#rules },
      },
      known,
    );
    this.#membership = observation.membership;
    this.#seen = { from: from(), observation };
    const at = new Date(wall).toISOString();
    for (const { service, instance, event, message } of observation.events)
      this.report(service, { at, event, by: 'registry', instance, message: `${instance} ${message}` });
  }

  /** Remembers what nobody decided; only the newest of it is kept. */
  report(service: string, event: ServiceEvent): void {
    const before = this.#recent.get(service) ?? [];
    this.#recent.set(service, [...before, event].slice(-KEPT_RECENT));
  }

  #joinRemembered(intents: Intents, traffic: Traffic): void {
    if (!this.#remembered) return;
    const { published, now } = this.#remembered;
    this.#remembered = null;
    const isShared = (service: string): boolean =>
      Object.keys(traffic.get(service)?.shares ?? intents.get(service)?.record.versions ?? {}).length > 0;
    const merged = new Map(this.#membership);
    for (const [service, members] of membersOf(published, now, isShared))
      merged.set(service, new Map([...members, ...(merged.get(service) ?? [])]));
    this.#membership = merged;
  }

  /** The same object as before while nothing changed; so are its documents one by one, and the whole map if none did. */
  compile(
    intents: Intents,
    due: number,
    withheld: Withheld,
    traffic: Traffic = NO_TRAFFIC,
    contract: ContractVersion = OLDEST_CONTRACT,
  ): Desired {
    const from = [this.#membership, intents, withheld, traffic, contract] as const;
    const overdue = [...this.#limited].filter(([, until]) => due >= until).map(([service]) => service);
    if (this.#all && overdue.length === 0 && sameObjects(this.#all.from, from)) return this.#all.desired;
    const before = this.#all?.desired;
    const documents = new Successor(before?.documents ?? new Map<string, EncodedDocument>());
    const compiled = new Successor(before?.compiled ?? new Map<string, CompiledService>());
    for (const service of new Set([...overdue, ...this.#changed(from)])) {
      const one = this.#desire(service, from, due);
      documents.set(service, one?.document);
      compiled.set(service, one?.compiled);
      if (one === null) this.#cache.delete(service);
      const until = one?.compiled.valid_until ?? Infinity;
      if (until === Infinity) this.#limited.delete(service);
      else this.#limited.set(service, until);
    }
    for (const service of this.#recent.keys()) if (!compiled.map.has(service)) this.#recent.delete(service);
    documents.set(ROUTES, this.#compileTable(intents, withheld));
    const desired = { documents: documents.map, compiled: compiled.map };
    this.#all = { from, desired };
    return desired;
  }

  /** The services of which something is another object than the last time. */
  #changed([membership, intents, withheld, traffic, contract]: CompiledAll['from']): Iterable<string> {
    const [known, decided, kept, asked, written] = this.#all?.from ?? [];
    const isOther = kept !== withheld || written !== contract;
    if (known === undefined || decided === undefined || asked === undefined || isOther)
      return [...servicesIn(known, decided, kept), ...servicesIn(membership, intents, withheld)];
    return [...differing(known, membership), ...differing(decided, intents), ...differing(asked, traffic)];
  }

  /** What should be published of one service, and what it was compiled from; null if there is no such service. */
  #desire(
    service: string,
    [membership, intents, withheld, traffic, contract]: CompiledAll['from'],
    due: number,
  ): { readonly document: EncodedDocument | undefined; readonly compiled: CompiledService } | null {
    const members = membership.get(service);
    const why = withheld.services.get(service);
    if (why !== undefined) {
      const document = writtenAs(withheld.published.get(service), contract);
      return { document, compiled: asPublished(service, members ?? NOBODY, document, why) };
    }
    const stored = intents.get(service);
    if (!members && !stored) return null;
    const record = stored?.record ?? NO_INTENT;
    const release = traffic.get(service) ?? null;
    const one = this.#compileOne(service, { members: members ?? NOBODY, record, release, contract }, due);
    return { document: one.encoded, compiled: one.result };
  }

  #compileOne(service: string, from: Omit<Compiled, 'result' | 'encoded'>, due: number): Compiled {
    const { members, record, release, contract } = from;
    const cached = this.#cache.get(service);
    const isSame = cached?.record === record && cached.release === release && cached.members === members;
    const same = isSame && cached.contract === contract;
    if (same && due < cached.result.valid_until) return cached;
    const result = compileService(service, members, record, due, release);
    const encoded = encode(result.set, contract);
    const kept = cached?.encoded.hash === encoded.hash ? cached.encoded : encoded;
    const compiled = { ...from, result, encoded: kept };
    this.#reportFallback(service, cached?.result.fallback ?? null, compiled);
    this.#cache.set(service, compiled);
    return compiled;
  }

  /** An event when the version before begins or ends to serve instead. */
  #reportFallback(service: string, before: string | null, { record, result }: Compiled): void {
    const { fallback } = result;
    if (fallback === before) return;
    const message =
      fallback === null ? `${before ?? ''} does not serve instead any more` : spellFallback(record, fallback);
    const event = fallback === null ? 'fallback_ended' : 'fell_back';
    this.report(service, { at: new Date(this.#wall).toISOString(), event, by: 'controller', message });
  }

  #compileTable(intents: Intents, { services, published }: Withheld): EncodedDocument {
    const wanted = wantedRoutes(intents, services, routesIn(published.get(ROUTES)));
    this.#routes = sameOr(this.#routes, wanted);
    const { encoded, clashes } = this.#compileRoutes(this.#routes);
    this.#clashes = clashes;
    return encoded;
  }
}

function servicesIn(
  membership: Membership = new Map(),
  intents: Intents = new Map(),
  withheld?: Withheld,
): readonly string[] {
  return [...membership.keys(), ...intents.keys(), ...(withheld?.services.keys() ?? [])];
}
