import type { Registration, RegistryView } from '../model/registration.js';
import type { Peer, PeerState, PublishedDocument } from '../model/set.js';
import { arrival, departure, type MembershipEventName } from './membership_events.js';

/*
 * Who belongs to a service, as far as can be known. A registration that is there is `present`. One that vanished is
 *
 *   held     kept as it was: the view may be wrong (silence before it, an empty service) or the instance may be
 *            back in a moment (a restart under the same identity publishes nothing);
 *   suspect  kept in use, visibly, for a bounded time: it vanished together with too many others;
 *   gone     down, and listed only until its last request is over.
 *
 * present → held → suspect → gone, each step optional, and back to present from all of them. An instance that
 * said `leaving` and whose node is deleted was deregistered: it is gone at once. So is one that a person had taken out of
 * use (drained, isolated): nobody loses it, and giving it back must not aim traffic at where it was. All moments are
 * monotonic milliseconds.
 */

export type Presence = 'present' | 'held' | 'suspect' | 'gone';

export interface Member {
  readonly registration: Registration;
  readonly presence: Presence;
  /** When this presence began. */
  readonly since: number;
  /** When the registration vanished; equal to `since` unless it was held or suspected first. */
  readonly vanished_at: number | null;
}

export type ServiceMembers = ReadonlyMap<string, Member>;
export type Membership = ReadonlyMap<string, ServiceMembers>;

export interface MembershipRules {
  readonly settle_ms: number;
  /** 0 = no shrink guard. */
  readonly suspect_ms: number;
  /** An identity that is back within this publishes nothing. */
  readonly flap_ms: number;
  /** Losses within this window are counted together. */
  readonly crowd_ms: number;
  /** More than this share of the instances lost together is a crowd. */
  readonly crowd_share: number;
}

export const DEFAULT_RULES: MembershipRules = {
  settle_ms: 20_000,
  suspect_ms: 60_000,
  flap_ms: 2_000,
  crowd_ms: 10_000,
  crowd_share: 0.3,
};

export interface MembershipEvent {
  readonly service: string;
  readonly instance: string;
  readonly event: MembershipEventName;
  readonly message: string;
}

export interface Observation {
  readonly membership: Membership;
  readonly events: readonly MembershipEvent[];
  /** Why removals are held back, by service. */
  readonly protections: ReadonlyMap<string, string>;
  /** When something here changes by time alone; Infinity if never. */
  readonly wake_at: number;
}

export interface ObserveInput {
  readonly previous: Membership;
  readonly view: RegistryView;
  readonly now: number;
  /** Removals wait until then: the end of the last gap in ZooKeeper's answers plus the settle time. */
  readonly settle_until: number;
  readonly rules: MembershipRules;
  readonly minAvailable: (service: string) => number;
  /** True while a person's wish keeps the instance out of use. */
  readonly takenOut: (service: string, id: string) => boolean;
}

/** The membership after `view`. Maps of services in which nothing changed are the same objects as before. */
export function observe(input: ObserveInput): Observation {
  const seen = input.view.instances;
  const membership = new Map<string, ServiceMembers>();
  const protections = new Map<string, string>();
  const events: MembershipEvent[] = [];
  let wakeAt = Infinity;
  const unread = new Set(input.view.unread.map(({ service }) => service));
  for (const service of new Set([...input.previous.keys(), ...seen.keys()])) {
    const before = input.previous.get(service) ?? new Map<string, Member>();
    const after = observeService(
      input,
      service,
      before,
      seen.get(service) ?? new Map<string, Registration>(),
      unread.has(service) || unread.has(null),
    );
    if (after.members.size > 0) membership.set(service, after.members);
    if (after.protection !== null) protections.set(service, after.protection);
    events.push(...after.events);
    wakeAt = Math.min(wakeAt, after.wake_at);
  }
  return { membership, events, protections, wake_at: wakeAt };
}

interface ServiceObservation {
  readonly members: ServiceMembers;
  readonly events: readonly MembershipEvent[];
  readonly protection: string | null;
  readonly wake_at: number;
}

function observeService(
  input: ObserveInput,
  service: string,
  before: ServiceMembers,
  seen: ReadonlyMap<string, Registration>,
  unread: boolean,
): ServiceObservation {
  const members = new Map<string, Member>();
  const events: MembershipEvent[] = [];
  let changed = false as boolean;
  const put = (id: string, member: Member, event: MembershipEventName | null, message: string): void => {
    members.set(id, member);
    changed ||= member !== before.get(id);
    if (event) events.push({ service, instance: id, event, message });
  };
  for (const [id, registration] of seen) {
    const old = before.get(id);
    if (old?.presence === 'present' && sameRegistration(old.registration, registration))
      put(id, old, null, '');
    else
      put(
        id,
        { registration, presence: 'present', since: input.now, vanished_at: null },
        ...arrival(old, registration),
      );
  }
  const missing = [...before].filter(([id]) => !seen.has(id));
  const removal = judgeRemovals(input, service, before, missing, seen.size, unread);
  for (const [id, old] of missing) {
    const next = removal.judge(id, old);
    if (next === old) put(id, old, null, '');
    else put(id, next, ...departure(old, next, input.takenOut(service, id)));
  }
  return {
    members: changed || members.size !== before.size ? members : before,
    events,
    protection: removal.protection(members),
    wake_at: removal.wakeAt(members),
  };
}

/** Decides for one service what becomes of the members that are not in the view. */
function judgeRemovals(
  input: ObserveInput,
  service: string,
  before: ServiceMembers,
  missing: readonly (readonly [string, Member])[],
  seenCount: number,
  unread: boolean,
) {
  const { now, rules } = input;
  /** Known only from what was published, and perhaps one of those that cannot be read. */
  const unknown = (member: Member): boolean => unread && member.registration.path === '';
  const expected = (id: string, member: Member): boolean =>
    member.registration.leaving || input.takenOut(service, id);
  const lost = missing.filter(
    ([id, member]) => member.presence !== 'gone' && !expected(id, member) && !unknown(member),
  );
  const vanishedAt = (member: Member): number => member.vanished_at ?? now;
  const wouldBeEmpty = seenCount === 0;
  const heldUntil = (member: Member): number =>
    Math.max(
      unknown(member) ? Infinity : 0,
      vanishedAt(member) + rules.flap_ms,
      vanishedAt(member) <= input.settle_until ? input.settle_until : 0,
      wouldBeEmpty ? vanishedAt(member) + rules.settle_ms : 0,
    );
  const crowd = isCrowd(input, service, lost, before, seenCount);
  const suspectUntil = (member: Member): number =>
    Math.max(
      Math.max(vanishedAt(member), member.presence === 'suspect' ? member.since : heldUntil(member)) +
        rules.suspect_ms,
      input.settle_until,
    );
  return {
    judge: (id: string, old: Member): Member => {
      if (old.presence === 'gone') return old;
      const at = vanishedAt(old);
      if (expected(id, old)) return { ...old, presence: 'gone', since: now, vanished_at: at };
      if (old.presence === 'suspect')
        return now < suspectUntil(old) ? old : { ...old, presence: 'gone', since: now, vanished_at: at };
      if (now < heldUntil(old))
        return old.presence === 'held' ? old : { ...old, presence: 'held', since: now, vanished_at: at };
      if (crowd && rules.suspect_ms > 0) return { ...old, presence: 'suspect', since: now, vanished_at: at };
      return { ...old, presence: 'gone', since: now, vanished_at: at };
    },
    protection: (members: ServiceMembers): string | null => {
      const suspects = [...members.values()].filter((member) => member.presence === 'suspect').length;
      if (suspects > 0) return `${String(suspects)} instances vanished together and stay in use as suspects`;
      if (![...members.values()].some((member) => member.presence === 'held')) return null;
      if ([...members.values()].some((member) => member.presence === 'held' && unknown(member)))
        return 'nodes of it cannot be read; what was published before stays in use until they are read or gone';
      if (wouldBeEmpty) return 'no instance is registered any more; removals wait for the settle time';
      return now < input.settle_until ? 'ZooKeeper was silent; removals wait for the settle time' : null;
    },
    wakeAt: (members: ServiceMembers): number =>
      [...members.values()].reduce((earliest, member) => {
        if (member.presence === 'held') return Math.min(earliest, heldUntil(member));
        if (member.presence === 'suspect') return Math.min(earliest, suspectUntil(member));
        return earliest;
      }, Infinity),
  };
}

/** The shrink guard: more than `crowd_share` (and at least 2) lost within the window, or too few would be left. */
function isCrowd(
  input: ObserveInput,
  service: string,
  lost: readonly (readonly [string, Member])[],
  before: ServiceMembers,
  seenCount: number,
): boolean {
  const recent = [...before].filter(
    ([id, member]) =>
      !member.registration.leaving &&
      !input.takenOut(service, id) &&
      member.presence !== 'present' &&
      member.vanished_at !== null &&
      input.now - member.vanished_at <= input.rules.crowd_ms + input.rules.settle_ms,
  ).length;
  const together = Math.max(lost.length, recent);
  const total = seenCount + together;
  if (together >= 2 && together / total > input.rules.crowd_share) return true;
  return together >= 2 && seenCount < input.minAvailable(service);
}

function sameRegistration(a: Registration, b: Registration): boolean {
  if (a === b) return true;
  return (
    a.host === b.host &&
    a.port === b.port &&
    a.version === b.version &&
    a.weight === b.weight &&
    a.zone === b.zone &&
    a.backup === b.backup &&
    a.ready === b.ready &&
    a.leaving === b.leaving &&
    a.incarnation === b.incarnation &&
    JSON.stringify(a.labels) === JSON.stringify(b.labels)
  );
}

/**
 * The members that have been gone longest, beyond the newest `most`. They need not be listed to be proven empty, and a
 * list that only grows while one gateway is silent would end above what a set may contain.
 */
export function surplusGone(members: ServiceMembers, most: number): readonly string[] {
  const gone = [...members].filter(([, member]) => member.presence === 'gone');
  if (gone.length <= most) return [];
  return gone
    .sort(([, a], [, b]) => a.since - b.since)
    .slice(0, gone.length - most)
    .map(([id]) => id);
}

/**
 * Members as the published sets remember them, for a controller that starts: what was published and is not in the
 * first view has vanished, and is not simply unknown. Registered weights cannot be read back; effective ones stand in,
 * brought back to the scale of registered ones where version shares (`isShared`) had stretched them.
 */
export function membersOf(
  published: readonly PublishedDocument[],
  now: number,
  isShared: (service: string) => boolean = () => false,
): Membership {
  const membership = new Map<string, ServiceMembers>();
  for (const { document, service } of published) {
    if (!('peers' in document)) continue;
    const members = new Map<string, Member>();
    const weightOf = isShared(service) ? unshared(document.peers) : plainWeight;
    for (const peer of document.peers) {
      const registration: Registration = {
        service,
        id: peer.id,
        host: peer.host,
        port: peer.port,
        version: peer.version,
        weight: peer.state === 'up' || peer.state === 'suspect' ? weightOf(peer) : USUAL_WEIGHT,
        zone: peer.zone ?? '',
        backup: peer.backup ?? false,
        labels: {},
        ready: peer.state !== 'unready',
        // Draining by an operator is in the intents too; what is left here had said that it was leaving.
        leaving: peer.state === 'draining',
        persistent: false,
        path: '',
        incarnation: '',
      };
      members.set(peer.id, { registration, ...rememberedPresence(peer.state), since: now, vanished_at: now });
    }
    if (members.size > 0) membership.set(service, members);
  }
  return membership;
}

/** What an instance registers with that names no weight. */
const USUAL_WEIGHT = 100;

function plainWeight(peer: Peer): number {
  return Math.min(peer.weight, 10_000);
}

/** Inside a version only ratios are known: its heaviest instance is taken to have the usual weight. */
function unshared(peers: readonly Peer[]): (peer: Peer) => number {
  const heaviest = new Map<string, number>();
  for (const { version, weight } of peers)
    heaviest.set(version, Math.max(heaviest.get(version) ?? 0, weight));
  return ({ version, weight }) => {
    const most = heaviest.get(version) ?? 0;
    if (most === 0) return USUAL_WEIGHT;
    return weight === 0 ? 0 : Math.max(1, Math.round((USUAL_WEIGHT * weight) / most));
  };
}

function rememberedPresence(state: PeerState): { readonly presence: Presence } {
  return { presence: state === 'gone' ? 'gone' : 'held' };
}
