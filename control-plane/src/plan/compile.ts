import type { InstanceIntent, IntentRecord, RouteSpec, ServiceSpec } from '../model/intent.js';
import type { EffectiveSpec } from '../model/resources.js';
import {
  eligible,
  type Peer,
  type PeerState,
  type Route,
  type RouteTable,
  type ServiceSet,
} from '../model/set.js';
import type { ReleaseTraffic } from '../model/release.js';
import { byCodeUnit } from './encode.js';
import type { Member, ServiceMembers } from './membership.js';
import { inForce, wishOf } from './record.js';
import { giveBack } from './release/shares.js';

/*
 * Registry and wishes become the published set. For one instance the strongest of these decides:
 * gone > isolated > cut > operator's drain > leaving > not ready > suspect > up.
 */

/** An instance in the set, and why it is there like that. */
export interface ExplainedPeer {
  readonly peer: Peer;
  /** Sentences, strongest first. */
  readonly why: readonly string[];
}

export interface CompiledService {
  readonly set: ServiceSet;
  readonly explained: ReadonlyMap<string, ExplainedPeer>;
  /** Wall-clock milliseconds at which a wish expires and the set must be compiled again; Infinity if never. */
  readonly valid_until: number;
}

/** What a share of 100 % is divided into: fine enough that 1 % of 100 instances is still a whole number. */
const SHARE_SCALE = 10_000;

/** Fills the defaults in. */
export function effectiveSpec(spec: ServiceSpec): EffectiveSpec {
  return {
    routes: spec.routes ?? [],
    balancer: spec.balancer ?? { algorithm: 'weighted_round_robin' },
    timeouts: { connect_ms: 500, send_ms: 60_000, read_ms: 60_000, ...spec.timeouts },
    retry: spec.retry ?? { tries: 2 },
    health: { max_fails: 3, fail_timeout_ms: 10_000, ...spec.health },
    min_available: spec.min_available ?? 1,
  };
}

/**
 * The set of one service: a pure function of its members, its record, the release that runs, and the moment. While a release
 * runs its shares hold, and a version of it that nobody can serve gives its share back.
 */
export function compileService(
  service: string,
  members: ServiceMembers,
  record: IntentRecord,
  wall: number,
  release: ReleaseTraffic | null = null,
): CompiledService {
  const spec = effectiveSpec(record.spec);
  let validUntil = Infinity;
  const judged = [...members].map(([id, member]) => {
    const live = inForce(wishOf(record.instances, id), wall);
    if (live?.expires !== undefined) validUntil = Math.min(validUntil, Date.parse(live.expires));
    return { id, member, ...judge(member, live) };
  });
  const total = shareTotals(judged);
  const shares = release ? giveBack(release.shares, release.stable, versionsServed(total)) : record.versions;
  const explained = new Map<string, ExplainedPeer>();
  for (const one of judged.sort((a, b) => byCodeUnit(a.id, b.id))) {
    const { host, port, version } = one.member.registration;
    const { weight, why } = shared(one, shares, total);
    const peer = { id: one.id, host, port, version, weight, down: isDown(one.state), state: one.state };
    explained.set(one.id, { peer, why });
  }
  const peers = [...explained.values()].map(({ peer }) => peer);
  const { balancer, timeouts, retry, health } = spec;
  return {
    set: { v: 1, service, balancer, timeouts, retry, health, peers },
    explained,
    valid_until: validUntil,
  };
}

interface Judged {
  readonly id: string;
  readonly member: Member;
  readonly state: PeerState;
  readonly weight: number;
  readonly why: readonly string[];
}

function isDown(state: PeerState): boolean {
  return state === 'isolated' || state === 'cut' || state === 'gone';
}

function judge(member: Member, intent: InstanceIntent | undefined): Omit<Judged, 'id' | 'member'> {
  const { registration, presence } = member;
  const why: string[] = [];
  const given = intent ? ` by ${intent.by}${intent.reason === '' ? '' : `: ${intent.reason}`}` : '';
  let state = 'up' as PeerState;
  const say = (next: PeerState, sentence: string): void => {
    if (state === 'up') state = next;
    why.push(sentence);
  };
  if (presence === 'gone') say('gone', 'its registration is gone; listed until its last request is over');
  if (intent?.state === 'isolated') say('isolated', `isolated${given}`);
  if (intent?.state === 'cut') say('cut', `its drain stopped waiting; drained${given}`);
  if (intent?.state === 'draining') say('draining', `drained${given}`);
  if (registration.leaving) say('draining', 'it said that it is leaving');
  if (!registration.ready) say('unready', 'it says that it is not ready');
  if (presence === 'suspect')
    say('suspect', 'its registration vanished together with too many others; kept in use');
  if (presence === 'held') why.push('its registration is missing; kept as it was for now');
  const serving = state === 'up' || state === 'suspect';
  if (intent?.weight !== undefined) why.push(`weight ${String(intent.weight)} set${given}`);
  else if (serving) why.push(`registered weight ${String(registration.weight)}`);
  return { state, weight: serving ? (intent?.weight ?? registration.weight) : 0, why };
}

/** Sum of the weights of what could serve, by version. */
function shareTotals(judged: readonly Judged[]): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  for (const { member, weight } of judged) {
    const { version } = member.registration;
    totals.set(version, (totals.get(version) ?? 0) + weight);
  }
  return totals;
}

function versionsServed(totals: ReadonlyMap<string, number>): ReadonlySet<string> {
  return new Set([...totals].filter(([, weight]) => weight > 0).map(([version]) => version));
}

/**
 * A version's share is split over its serving instances by their weights:
 * `weight = share % × 10,000 × own weight ÷ sum of the version's weights`, at least 1 while share and weight are above 0.
 * Example: v2 has 20 %, two instances of weight 100 → 100,000 each; v1 has 80 %, one instance → 800,000.
 */
function shared(
  one: Judged,
  shares: Readonly<Record<string, number>>,
  totals: ReadonlyMap<string, number>,
): { readonly weight: number; readonly why: readonly string[] } {
  if (Object.keys(shares).length === 0 || one.weight === 0) return one;
  const { version } = one.member.registration;
  const share = Object.hasOwn(shares, version) ? (shares[version] ?? 0) : 0;
  const why = [
    ...one.why,
    `version ${version === '' ? '(none)' : version} has a share of ${String(share)} %`,
  ];
  if (share === 0) return { weight: 0, why };
  const weight = Math.round((share * SHARE_SCALE * one.weight) / (totals.get(version) ?? one.weight));
  return { weight: Math.max(1, weight), why };
}

/** How many peers new requests may go to. */
export function countEligible(set: ServiceSet): number {
  return set.peers.filter(eligible).length;
}

/** A route that two services want; the first by name has it. */
export interface RouteClash {
  readonly route: RouteSpec;
  readonly service: string;
  readonly taken_by: string;
}

/** All routes of all services, sorted by host, then path; each host and path belongs to one service. */
export function compileRoutes(records: ReadonlyMap<string, IntentRecord>): {
  readonly table: RouteTable;
  readonly clashes: readonly RouteClash[];
} {
  const routes = new Map<string, Route>();
  const clashes: RouteClash[] = [];
  for (const service of [...records.keys()].sort(byCodeUnit)) {
    for (const { host, path } of records.get(service)?.spec.routes ?? []) {
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
