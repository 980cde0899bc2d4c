import { own } from '../model/dictionary.js';
import type { Decided, InstanceIntent, IntentRecord, ServiceSpec } from '../model/intent.js';
import { eligible, type Peer, type PeerState, type ServiceSet } from '../model/set.js';
import type { StandingProblem } from '../model/standing_problem.js';
import type { ReleaseTraffic } from '../model/release.js';
import type { EffectiveSpec } from '../model/resources.js';
import { forcedIn } from './breaker.js';
import { byCodeUnit } from './encode.js';
import { layersOf, nextExpiry, spellAuthor } from './layers.js';
import type { Member, ServiceMembers } from './membership.js';
import { inForce, instanceIntent } from './record.js';
import { giveBack } from './release/shares.js';
import { problemsOf } from './service_problems.js';
import { effectiveSpec, wireSections } from './spec.js';

/*
 * Registry and intents become the published set. For one instance the strongest of these decides:
 * gone > isolated > cut > operator's drain > drain by a release > leaving > not ready > suspect > up.
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
  /** Wall-clock milliseconds at which an intent or a part of it ends and the set must be compiled again; Infinity if never. */
  readonly valid_until: number;
  /** The version without a share that serves because nobody of the others can; null = none. */
  readonly fallback: string | null;
  /** The instances whose registration is gone, which are listed until their last request is over. */
  readonly gone: readonly string[];
  /** What is wrong with it by itself. */
  readonly problems: readonly StandingProblem[];
}

/** What a share of 100 % is divided into: fine enough that 1 % of 100 instances is still a whole number. */
const SHARE_SCALE = 10_000;

/**
 * The set of one service: a pure function of its members, its record, the release that runs, and the moment. While a release
 * runs its shares are in force, and a version of it that nobody can serve gives its share back.
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
  const draining = new Set(release?.draining);
  const evaluated = [...members].map(([id, member]) => {
    const live = inForce(instanceIntent(record.instances, id), wall);
    validUntil = Math.min(validUntil, nextExpiry(live));
    const drainedBy = release && draining.has(id) ? `release ${release.release} (${release.batch})` : null;
    const evaluation = evaluate(member, live, drainedBy);
    const kept =
      evaluation.state === 'draining' && drainedBy === null
        ? keptUntil(record.spec, member, live, wall)
        : null;
    if (kept !== null) validUntil = Math.min(validUntil, Date.parse(kept));
    const why = kept === null ? evaluation.why : [...evaluation.why, `sticky clients are kept until ${kept}`];
    return { id, member, ...evaluation, why, kept };
  });
  const total = shareTotals(evaluated);
  const fallback = release ? null : fallbackIn(record, spec, versionsServed(evaluated));
  const shares = release
    ? giveBack(release.shares, release.stable, versionsServed(evaluated))
    : fallback === null
      ? record.versions
      : { [fallback]: 100 };
  const explained = new Map<string, ExplainedPeer>();
  for (const one of evaluated.sort((a, b) => byCodeUnit(a.id, b.id))) {
    const { weight, why } = shared(one, shares, total);
    const reasons = fallback !== null && weight > 0 ? [...why, spellFallback(record, fallback)] : why;
    explained.set(one.id, { peer: peerOf(one, weight), why: reasons });
  }
  const peers = [...explained.values()].map(({ peer }) => peer);
  const forced = forcedIn(record, wall);
  if (forced?.expires !== undefined) validUntil = Math.min(validUntil, Date.parse(forced.expires));
  const set: ServiceSet = {
    ...{ v: 1, service },
    ...wireSections(spec),
    ...(forced ? { breaker_forced: forced.state } : {}),
    peers,
  };
  return {
    set,
    explained,
    valid_until: validUntil,
    fallback,
    gone: goneOf(members),
    problems: problemsOf(set, members, record, fallback === null ? null : spellFallback(record, fallback)),
  };
}

/** The members that are gone, by id. */
export function goneOf(members: ServiceMembers): readonly string[] {
  return [...members].flatMap(([id, { presence }]) => (presence === 'gone' ? [id] : []));
}

/** The version that serves instead, while nobody of the versions with a share takes requests and it has somebody; null = none. */
function fallbackIn(
  { versions, fallback }: IntentRecord,
  { version_fallback }: EffectiveSpec,
  served: ReadonlySet<string>,
): string | null {
  if (!version_fallback || fallback === undefined || !served.has(fallback)) return null;
  const shared = Object.keys(versions).filter((version) => (own(versions, version) ?? 0) > 0);
  return shared.length === 0 || shared.some((version) => served.has(version)) ? null : fallback;
}

/** What is shown where the version before serves instead. */
export function spellFallback({ versions }: IntentRecord, fallback: string): string {
  const without = Object.keys(versions).filter((version) => (own(versions, version) ?? 0) > 0);
  return `nobody of ${without.join(', ')} takes requests: ${fallback}, which served before, does`;
}

interface Evaluated {
  readonly id: string;
  readonly member: Member;
  readonly state: PeerState;
  readonly weight: number;
  readonly backup: boolean;
  readonly why: readonly string[];
  /** Until then it is left to the clients that are bound to it; null = not at all. */
  readonly kept: string | null;
}

/** A member with a default is left out where its value is the default. */
function peerOf(one: Evaluated, weight: number): Peer {
  const { host, port, version, zone } = one.member.registration;
  return {
    ...{ id: one.id, host, port, version, weight, down: isDown(one.state), state: one.state },
    ...(zone === '' ? {} : { zone }),
    ...(one.backup ? { backup: true } : {}),
    ...(one.kept === null ? {} : { keep_sticky: true }),
  };
}

/**
 * Until when a drained instance is left to the clients that are bound to it by cookie; null = it is not. One that is gone,
 * wants to stop, or says that it is not ready, is not kept for anybody.
 */
export function keptUntil(
  spec: ServiceSpec,
  { registration, presence }: Member,
  intent: InstanceIntent | undefined,
  wall: number,
): string | null {
  const until = intent?.state === 'draining' ? intent.keep_sticky_until : undefined;
  if (until === undefined || Date.parse(until) <= wall || spec.balancer?.sticky === undefined) return null;
  return presence !== 'gone' && registration.ready && !registration.leaving ? until : null;
}

function isDown(state: PeerState): boolean {
  return state === 'isolated' || state === 'cut' || state === 'gone';
}

function evaluate(
  member: Member,
  intent: InstanceIntent | undefined,
  drainedBy: string | null,
): Omit<Evaluated, 'id' | 'member' | 'kept'> {
  const { registration, presence } = member;
  const why: string[] = [];
  const { isolation, drain, weight: set, backup: role } = layersOf(intent);
  const given = (one: Decided): string => spellAuthor({ by: one.by, reason: one.reason, at: one.at });
  let state = 'up' as PeerState;
  const say = (next: PeerState, sentence: string): void => {
    if (state === 'up') state = next;
    why.push(sentence);
  };
  if (presence === 'gone') say('gone', 'its registration is gone; listed until its last request is over');
  if (isolation) say('isolated', `isolated ${given(isolation)}`);
  if (drain?.state === 'cut') say('cut', `its drain stopped waiting; drained ${given(drain)}`);
  if (drain?.state === 'draining') say('draining', `drained ${given(drain)}`);
  if (drainedBy !== null) say('draining', `drained by ${drainedBy}`);
  if (registration.leaving) say('draining', 'it said that it is leaving');
  if (!registration.ready) say('unready', 'it says that it is not ready');
  if (presence === 'suspect') say('suspect', 'its registration vanished; kept in use as a suspect');
  if (presence === 'missing') why.push('its registration is missing; kept as it was for now');
  const serving = state === 'up' || state === 'suspect';
  if (set) why.push(`weight ${String(set.value)} set ${given(set)}`);
  else if (serving) why.push(`registered weight ${String(registration.weight)}`);
  const backup = intent?.backup ?? registration.backup;
  if (role) why.push(`${backup ? 'made a backup' : 'made no backup'} ${given(role)}`);
  else if (backup) why.push('registered as a backup');
  return { state, weight: serving ? (intent?.weight ?? registration.weight) : 0, backup, why };
}

/** Sum of the weights of what could serve, by group. */
function shareTotals(evaluated: readonly Evaluated[]): ReadonlyMap<string, number> {
  const totals = new Map<string, number>();
  for (const one of evaluated) totals.set(groupOf(one), (totals.get(groupOf(one)) ?? 0) + one.weight);
  return totals;
}

/** Those of one version that serve at the same time: its backups are no part of what its other instances divide. */
function groupOf({ member, backup }: Evaluated): string {
  return `${backup ? 'backups of' : ''} ${member.registration.version}`;
}

/** Versions that more than backups can serve. */
function versionsServed(evaluated: readonly Evaluated[]): ReadonlySet<string> {
  const serving = evaluated.filter(({ backup, weight }) => !backup && weight > 0);
  return new Set(serving.map(({ member }) => member.registration.version));
}

/**
 * A version's share is split over its serving instances by their weights:
 * `weight = share % × 10,000 × own weight ÷ sum of the version's weights`, at least 1 while share and weight are above 0.
 * Example: v2 has 20 %, two instances of weight 100 → 100,000 each; v1 has 80 %, one instance → 800,000.
 */
function shared(
  one: Evaluated,
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
  const weight = Math.round((share * SHARE_SCALE * one.weight) / (totals.get(groupOf(one)) ?? one.weight));
  return { weight: Math.max(1, weight), why };
}

/** How many peers new requests may go to. */
export function countEligible(set: ServiceSet): number {
  return set.peers.filter(eligible).length;
}
