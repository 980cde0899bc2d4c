import type { StoredIntent, ServiceEvent } from '../model/intent.js';
import { NO_INTENT } from '../model/intent.js';
import type { RegistryState, RegistryView } from '../model/registration.js';
import type { EncodedDocument, PublishedDocument } from '../model/set.js';
import {
  compileRoutes,
  compileService,
  effectiveSpec,
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

/** How many remembered registration events a service keeps. */
const KEPT_RECENT = 50;

interface Compiled {
  readonly members: ServiceMembers;
  readonly record: StoredIntent['record'];
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
  #membership: Membership = new Map();
  #protections: ReadonlyMap<string, string> = new Map();
  #recent = new Map<string, readonly ServiceEvent[]>();
  #wakeAt = Infinity;
  #routes: { readonly clashes: readonly RouteClash[]; readonly encoded: EncodedDocument } | null = null;
  #routesFrom: ReadonlyMap<string, StoredIntent> | null = null;

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
    return this.#unknown?.reason ?? null;
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
    const merged = new Map(this.#membership);
    for (const [service, remembered] of membersOf(published, now)) {
      const known = merged.get(service) ?? new Map<string, never>();
      merged.set(service, new Map([...remembered, ...known]));
    }
    this.#membership = merged;
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

  /** Brings membership up to `now`; nothing happens before the first complete view. */
  observe(intents: ReadonlyMap<string, StoredIntent>, now: number, wall: number): void {
    if (!this.#view) return;
    const observation = observe({
      previous: this.#membership,
      view: this.#view,
      now,
      settle_until: this.#settleUntil,
      rules: this.#rules,
      minAvailable: (service) => effectiveSpec(intents.get(service)?.record.spec ?? {}).min_available,
    });
    this.#membership = observation.membership;
    this.#protections = observation.protections;
    this.#wakeAt = observation.wake_at;
    for (const { service, instance, event, message } of observation.events) {
      const at = new Date(wall).toISOString();
      const before = this.#recent.get(service) ?? [];
      const line: ServiceEvent = { at, event, by: 'registry', instance, message: `${instance} ${message}` };
      this.#recent.set(service, [...before, line].slice(-KEPT_RECENT));
    }
  }

  /** Every set that should stand, by service, and what it was compiled from. */
  compile(
    intents: ReadonlyMap<string, StoredIntent>,
    wall: number,
  ): {
    readonly documents: ReadonlyMap<string, EncodedDocument>;
    readonly compiled: ReadonlyMap<string, CompiledService>;
  } {
    const documents = new Map<string, EncodedDocument>();
    const compiled = new Map<string, CompiledService>();
    const names = new Set([...this.#membership.keys(), ...intents.keys()]);
    for (const service of names) {
      const { result, encoded } = this.#compileOne(service, intents.get(service), wall);
      documents.set(service, encoded);
      compiled.set(service, result);
    }
    for (const service of this.#cache.keys()) if (!names.has(service)) this.#cache.delete(service);
    documents.set('@routes', this.#compileRoutes(intents));
    return { documents, compiled };
  }

  #compileOne(service: string, stored: StoredIntent | undefined, wall: number): Compiled {
    const members = this.#membership.get(service) ?? new Map<string, never>();
    const record = stored?.record ?? NO_INTENT;
    const cached = this.#cache.get(service);
    const same =
      cached?.record === record && (cached.members === members || cached.members.size + members.size === 0);
    if (same && wall < cached.result.valid_until) return cached;
    const result = compileService(service, members, record, wall);
    const compiled = { members, record, result, encoded: encode(result.set) };
    this.#cache.set(service, compiled);
    return compiled;
  }

  #compileRoutes(intents: ReadonlyMap<string, StoredIntent>): EncodedDocument {
    if (this.#routes && this.#routesFrom === intents) return this.#routes.encoded;
    const records = new Map([...intents].map(([service, stored]) => [service, stored.record]));
    const { table, clashes } = compileRoutes(records);
    this.#routes = { clashes, encoded: encode(table) };
    this.#routesFrom = intents;
    return this.#routes.encoded;
  }
}
