import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CONTRACTS, type ContractVersion } from '../model/contract.js';
import { NO_INTENT, type InstanceIntent, type IntentRecord, type StoredIntent } from '../model/intent.js';
import { ROUTES } from '../model/names.js';
import type { Registration, RegistryView } from '../model/registration.js';
import type { ReleaseTraffic } from '../model/release.js';
import type { PublishedDocument } from '../model/set.js';
import { compileService } from '../plan/compile.js';
import { compileRoutes } from '../plan/compile_routes.js';
import { encode } from '../plan/encode.js';
import { DEFAULT_RULES, type Membership } from '../plan/membership.js';
import { observe } from '../plan/observe.js';
import { membersOf } from '../plan/remembered.js';
import { buildEncoded, buildPeer, buildRegistration, buildSet } from '../testing/builders.js';
import { DesiredState, type Traffic, type Withheld } from './desired_state.js';

const RULES = { ...DEFAULT_RULES, settle_ms: 8_000, suspect_ms: 20_000 };
const SERVICES = ['cart', 'shop'] as const;
const IDS = ['a', 'b', 'c', 'd'] as const;
const START = Date.parse('2026-05-01T12:00:00Z');

/** What may happen between two looks. */
type Step =
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'register'; readonly service: string; readonly id: string; readonly n: number }
  | { readonly do: 'register_all'; readonly service: string }
  | { readonly do: 'vanish'; readonly service: string; readonly ids: readonly string[] }
  | { readonly do: 'read_anew'; readonly gap: boolean }
  | { readonly do: 'unread'; readonly service: string | null; readonly is: boolean }
  | { readonly do: 'away' }
  | { readonly do: 'decide'; readonly service: string; readonly id: string; readonly n: number }
  | { readonly do: 'spec'; readonly service: string; readonly n: number }
  | { readonly do: 'release'; readonly service: string; readonly n: number }
  | { readonly do: 'withhold'; readonly service: string; readonly is: boolean }
  | { readonly do: 'drop'; readonly service: string }
  | { readonly do: 'remember'; readonly service: string; readonly ids: readonly string[] }
  | { readonly do: 'contract'; readonly contract: ContractVersion }
  | { readonly do: 'nothing' };

const service = fc.constantFrom(...SERVICES);
const id = fc.constantFrom(...IDS);
const n = fc.nat(7);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(500, 2_000, 3_000, 9_000, 21_000) }),
  fc.record({ do: fc.constant('register' as const), service, id, n }),
  fc.record({ do: fc.constant('register_all' as const), service }),
  fc.record({ do: fc.constant('vanish' as const), service, ids: fc.subarray([...IDS], { minLength: 1 }) }),
  fc.record({ do: fc.constant('vanish' as const), service, ids: fc.constant([...IDS]) }),
  fc.record({ do: fc.constant('read_anew' as const), gap: fc.boolean() }),
  fc.record({
    do: fc.constant('unread' as const),
    service: fc.option(service, { nil: null }),
    is: fc.boolean(),
  }),
  fc.constant({ do: 'away' as const }),
  fc.record({ do: fc.constant('decide' as const), service, id, n }),
  fc.record({ do: fc.constant('spec' as const), service, n }),
  fc.record({ do: fc.constant('release' as const), service, n }),
  fc.record({ do: fc.constant('withhold' as const), service, is: fc.boolean() }),
  fc.record({ do: fc.constant('drop' as const), service }),
  fc.record({ do: fc.constant('remember' as const), service, ids: fc.subarray([...IDS], { minLength: 1 }) }),
  fc.record({ do: fc.constant('contract' as const), contract: fc.constantFrom(...CONTRACTS) }),
  fc.constant({ do: 'nothing' as const }),
);

const NO_SHARES: IntentRecord['versions'] = {};

/** Everything that is handed to the desired state. */
class Surroundings {
  readonly desired = new DesiredState(RULES);
  view: RegistryView = { instances: new Map(), problems: [], unread: [], services: [] };
  intents: ReadonlyMap<string, StoredIntent> = new Map();
  traffic: Traffic = new Map();
  withheld: Withheld = { services: new Map(), published: new Map() };
  contract: ContractVersion = 1;
  settleUntil = -Infinity;
  /** What was published before, and has not joined the membership yet. */
  remembered: { readonly published: readonly PublishedDocument[]; readonly now: number } | null = null;
  looked = false;
  now = 0;
  away = false;

  get due(): number {
    return START + this.now;
  }

  /** Makes the step true. */
  take(one: Step): void {
    switch (one.do) {
      case 'wait':
        this.now += one.ms;
        return;
      case 'register': {
        const weight = one.n % 3 === 0 ? 100 : 50;
        const more = {
          weight,
          version: one.n % 2 === 0 ? 'v1' : 'v2',
          leaving: one.n === 7,
          ready: one.n !== 6,
        };
        const registration = buildRegistration({
          ...more,
          service: one.service,
          id: one.id,
          host: `10.0.0.${one.n + 1}`,
        });
        this.#show(one.service, [...this.#others(one.service, [one.id]), registration], false);
        return;
      }
      case 'register_all': {
        const all = IDS.map((one_id) =>
          buildRegistration({ service: one.service, id: one_id, version: one_id < 'c' ? 'v1' : 'v2' }),
        );
        this.#show(one.service, all, false);
        return;
      }
      case 'vanish': {
        this.#show(one.service, this.#others(one.service, one.ids), false);
        return;
      }
      case 'read_anew': {
        const instances = new Map(
          [...this.view.instances].map(([name, all]) => [
            name,
            new Map([...all].map(([key, registration]) => [key, { ...registration }])),
          ]),
        );
        this.#look({ ...this.view, instances }, one.gap);
        return;
      }
      case 'unread': {
        const node = { path: `/services/${one.service ?? ''}`, service: one.service, reason: 'no auth' };
        this.#look({ ...this.view, unread: one.is ? [node] : [] }, false);
        return;
      }
      case 'away':
        this.away = true;
        {
          this.desired.take({ status: 'unknown', reason: 'away' }, this.now);
          return;
        }
      case 'decide': {
        this.#record(one.service, (record) => {
          const { [one.id]: _before, ...others } = record.instances;
          const decided = this.#intent(one.n);
          return { ...record, instances: decided ? { ...others, [one.id]: decided } : others };
        });
        return;
      }
      case 'spec': {
        this.#record(one.service, (record) => ({
          ...record,
          spec: {
            ...(one.n % 2 === 0
              ? { routes: [{ host: '*', path: one.n > 3 ? '/' : `/${one.service}` }] }
              : {}),
            ...(one.n > 4 ? { min_available: 3 } : {}),
          },
          versions: one.n === 3 ? { v2: 100 } : NO_SHARES,
          ...(one.n === 3 ? { fallback: 'v1' } : {}),
        }));
        return;
      }
      case 'release': {
        const traffic = new Map(this.traffic);
        if (one.n < 3) traffic.delete(one.service);
        else
          traffic.set(one.service, {
            ...({ release: 'rel-1', batch: 'batch 1', stable: 'v1' } as ReleaseTraffic),
            shares: one.n === 4 ? { v1: 50, v2: 50 } : {},
            draining: one.n > 4 ? ['a', 'b'] : [],
          });
        this.traffic = traffic;
        return;
      }
      case 'withhold': {
        const services = new Map(this.withheld.services);
        if (one.is) services.set(one.service, 'damaged');
        else services.delete(one.service);
        this.withheld = { services, published: new Map([['shop', buildEncoded(buildSet())]]) };
        return;
      }
      case 'drop': {
        const members = [...(this.desired.membership.get(one.service) ?? [])];
        const gone = members.filter(([, { presence }]) => presence === 'gone').map(([key]) => key);
        if (gone.length > 0) this.desired.drop(one.service, gone);
        return;
      }
      case 'remember': {
        const peers = one.ids.map((id, index) => buildPeer({ id, host: `10.0.1.${index + 1}` }));
        const encoded = buildEncoded(buildSet({ service: one.service, peers }));
        const published = [{ ...encoded, epoch: 1, generation: 1, at: '' }];
        this.desired.remember(published, this.now);
        this.remembered = { published, now: this.now };
        this.settleUntil = Math.max(this.settleUntil, this.now + RULES.settle_ms);
        return;
      }
      case 'contract':
        this.contract = one.contract;
        return;
      case 'nothing':
    }
  }

  /** The membership before a look, with what joins it there. */
  previous(): Membership {
    if (this.remembered === null || !this.looked) return this.desired.membership;
    const { published, now } = this.remembered;
    this.remembered = null;
    const isShared = (name: string): boolean =>
      Object.keys(this.traffic.get(name)?.shares ?? this.intents.get(name)?.record.versions ?? {}).length > 0;
    const joined = new Map(this.desired.membership);
    for (const [name, members] of membersOf(published, now, isShared))
      joined.set(name, new Map([...members, ...(joined.get(name) ?? [])]));
    return joined;
  }

  #intent(kind: number): InstanceIntent | null {
    const by = { by: 'ann', reason: '', at: new Date(this.due).toISOString() };
    const expires = new Date(this.due + 3_000).toISOString();
    const intents: readonly (InstanceIntent | null)[] = [
      null,
      { ...by, state: 'isolated' },
      { ...by, state: 'draining' },
      { ...by, weight: 7 },
      { ...by, state: 'isolated', expires },
      { ...by, state: 'draining', expires, weight: 3, weight_by: by },
      { ...by, backup: true },
      { ...by, weight: 0, expires },
    ];
    return intents[kind] ?? null;
  }

  #record(name: string, change: (record: IntentRecord) => IntentRecord): void {
    const record = change(this.intents.get(name)?.record ?? NO_INTENT);
    this.intents = new Map(this.intents).set(name, { service: name, record, etag: '' });
  }

  #others(name: string, ids: readonly string[]): readonly Registration[] {
    return [...(this.view.instances.get(name)?.values() ?? [])].filter((one) => !ids.includes(one.id));
  }

  #show(name: string, registrations: readonly Registration[], gap: boolean): void {
    const instances = new Map(this.view.instances);
    instances.delete(name);
    if (registrations.length > 0) instances.set(name, new Map(registrations.map((one) => [one.id, one])));
    this.#look({ ...this.view, instances }, gap);
  }

  #look(view: RegistryView, gap: boolean): void {
    this.view = view;
    this.away = false;
    this.looked = true;
    if (gap) this.settleUntil = this.now + RULES.settle_ms;
    this.desired.take({ status: 'complete', view, gap }, this.now);
  }
}

/** All that is in a value, maps included, as a text that is equal where all is equal. */
function spelled(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) =>
    one instanceof Map ? [...one].sort(([x], [y]) => (x < y ? -1 : 1)) : one === Infinity ? 'never' : one,
  );
}

/** Looks and compiles as the controller does, and expects what a controller would find that remembers nothing. */
function lookAgain(all: Surroundings): void {
  const { desired, intents, traffic, withheld, now, due, view, contract } = all;
  const previous = all.previous();
  desired.observe(intents, now, { wall: due, due }, traffic);
  if (!all.away) {
    const { settleUntil: settle_until } = all;
    const afresh = observe({ previous, view, now, due, settle_until, rules: RULES, intents, traffic });
    expect(spelled(desired.membership)).toBe(spelled(afresh.membership));
    expect(spelled(desired.holds)).toBe(spelled(afresh.holds));
    expect(desired.wakeAt).toBe(afresh.wake_at);
  }
  const { documents, compiled } = desired.compile(intents, due, withheld, traffic, contract);
  const names = new Set([...desired.membership.keys(), ...intents.keys(), ...withheld.services.keys()]);
  expect(new Set(compiled.keys())).toEqual(names);
  const routes = new Map<string, readonly { host: string; path: string }[]>();
  for (const name of names) {
    if (withheld.services.has(name)) {
      const kept = withheld.published.get(name);
      if (contract === 1) expect(documents.get(name)).toBe(kept);
      else expect(documents.get(name)?.payload).toBe(kept && encode(kept.document, contract).payload);
      continue;
    }
    const record = intents.get(name)?.record ?? NO_INTENT;
    const members = desired.membership.get(name) ?? new Map<string, never>();
    const one = compileService(name, members, record, due, traffic.get(name) ?? null);
    expect(documents.get(name)?.payload).toBe(encode(one.set, contract).payload);
    expect(spelled(compiled.get(name))).toBe(spelled(one));
    if (record.spec.routes) routes.set(name, record.spec.routes);
  }
  for (const name of withheld.services.keys()) if (intents.get(name)?.record.spec.routes) return; // kept as in the record
  const table = compileRoutes(routes);
  expect(documents.get(ROUTES)?.payload).toBe(encode(table.table).payload);
  expect(desired.clashes).toEqual(table.clashes);
}

test(
  'property: what is remembered changes no result, byte for byte, in any history',
  { timeout: 60_000 },
  () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 50, size: 'max' }), (steps) => {
        const all = new Surroundings();
        for (const one of steps) {
          all.take(one);
          lookAgain(all);
        }
      }),
      { numRuns: 60 },
    );
  },
);
