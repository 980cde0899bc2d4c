import type { IntentRecord } from '../model/intent.js';
import type { Registration } from '../model/registration.js';
import type { ReleaseTraffic } from '../model/release.js';
import type { Member, MembershipRules, ServiceMembers } from './membership.js';
import { arrival, departure, type MembershipEventName } from './membership_events.js';
import { inForce, instanceIntent } from './record.js';
import { effectiveSpec } from './spec.js';

/** Everything that decides what becomes of the members of one service. What is an object here never changes. */
export interface ServiceInput {
  readonly members: ServiceMembers;
  /** What is registered, by id. */
  readonly seen: ReadonlyMap<string, Registration>;
  /** True if nodes of it could not be read. */
  readonly unread: boolean;
  readonly record: IntentRecord;
  readonly release: ReleaseTraffic | null;
  /** Removals wait until then: the end of the last gap in ZooKeeper's answers plus the settle time. */
  readonly settle_until: number;
}

/** `now` is monotonic, `due` the wall clock until which what was to end has expired. */
export interface Moment {
  readonly now: number;
  readonly due: number;
}

export interface ServiceInstanceEvent {
  readonly instance: string;
  readonly event: MembershipEventName;
  readonly message: string;
}

export interface ServiceObservation {
  /** The same object as before where nothing changed. */
  readonly members: ServiceMembers;
  readonly events: readonly ServiceInstanceEvent[];
  /** Why removals wait; null if none does. */
  readonly protection: string | null;
  /** True if nothing but what is registered can change the members. */
  readonly settled: boolean;
  /** With the same input nothing changes before `now` is here, whatever expires meanwhile; Infinity if never. */
  readonly wake_at: number;
}

/** The members of one service after what is seen of it at `moment`. */
export function observeService(
  input: ServiceInput,
  { now, due }: Moment,
  rules: MembershipRules,
): ServiceObservation {
  const { members: before, seen } = input;
  const members = new Map<string, Member>();
  const events: ServiceInstanceEvent[] = [];
  let changed = false as boolean;
  const put = (id: string, member: Member, event: MembershipEventName | null, message: string): void => {
    members.set(id, member);
    changed ||= member !== before.get(id);
    if (event) events.push({ instance: id, event, message });
  };
  for (const [id, registration] of seen) {
    const old = before.get(id);
    if (old?.presence === 'present' && sameRegistration(old.registration, registration))
      put(id, old, null, '');
    else
      put(
        id,
        { registration, presence: 'present', since: now, vanished_at: null },
        ...arrival(old, registration),
      );
  }
  const missing = [...before].filter(([id]) => !seen.has(id));
  const removals = removalsOf(input, missing, { now, due }, rules);
  for (const [id, old] of missing) {
    const next = removals.next(id, old);
    if (next === old) put(id, old, null, '');
    else put(id, next, ...departure(old, next, isTakenOut(input, id, due)));
  }
  const pending = missing.filter(([id]) => members.get(id)?.presence !== 'gone');
  return {
    members: changed || members.size !== before.size ? members : before,
    events,
    protection: removals.protection(members),
    settled: pending.length === 0,
    wake_at: removals.wakeAt(members),
  };
}

/** True while a person, or a release, keeps the instance out of use. */
function isTakenOut({ record, release }: ServiceInput, id: string, due: number): boolean {
  return (
    inForce(instanceIntent(record.instances, id), due)?.state !== undefined ||
    release?.draining.includes(id) === true
  );
}

/** What becomes of the members that are not in the view. */
function removalsOf(
  input: ServiceInput,
  missing: readonly (readonly [string, Member])[],
  { now, due }: Moment,
  rules: MembershipRules,
) {
  const { settle_until: settleUntil, unread } = input;
  /** Known only from what was published, and perhaps one of those that cannot be read. */
  const unknown = (member: Member): boolean => unread && member.registration.path === '';
  const expected = (id: string, member: Member): boolean =>
    member.registration.leaving || isTakenOut(input, id, due);
  const lost = missing.filter(
    ([id, member]) => member.presence !== 'gone' && !expected(id, member) && !unknown(member),
  );
  const vanishedAt = (member: Member): number => member.vanished_at ?? now;
  const wouldBeEmpty = input.seen.size === 0;
  const keptUntil = (member: Member): number =>
    Math.max(
      unknown(member) ? Infinity : 0,
      vanishedAt(member) + rules.flap_ms,
      vanishedAt(member) <= settleUntil ? settleUntil : 0,
      wouldBeEmpty ? vanishedAt(member) + rules.settle_ms : 0,
    );
  const crowd = isCrowd(input, lost.length, { now, due }, rules);
  const suspectUntil = (member: Member): number =>
    Math.max(
      Math.max(vanishedAt(member), member.presence === 'suspect' ? member.since : keptUntil(member)) +
        rules.suspect_ms,
      settleUntil,
    );
  return {
    next: (id: string, old: Member): Member => {
      if (old.presence === 'gone') return old;
      const at = vanishedAt(old);
      if (expected(id, old)) return { ...old, presence: 'gone', since: now, vanished_at: at };
      if (old.presence === 'suspect')
        return now < suspectUntil(old) ? old : { ...old, presence: 'gone', since: now, vanished_at: at };
      if (now < keptUntil(old))
        return old.presence === 'missing'
          ? old
          : { ...old, presence: 'missing', since: now, vanished_at: at };
      if (crowd && rules.suspect_ms > 0) return { ...old, presence: 'suspect', since: now, vanished_at: at };
      return { ...old, presence: 'gone', since: now, vanished_at: at };
    },
    protection: (members: ServiceMembers): string | null => {
      const suspects = [...members.values()].filter((member) => member.presence === 'suspect').length;
      if (suspects > 0) return `${String(suspects)} instances vanished together and stay in use as suspects`;
      const kept = [...members.values()].filter((member) => member.presence === 'missing');
      if (kept.length === 0) return null;
      if (kept.some(unknown))
        return 'nodes of it cannot be read; what was published before stays in use until they are read or gone';
      if (wouldBeEmpty) return 'no instance is registered any more; removals wait for the settle time';
      return now < settleUntil ? 'ZooKeeper was silent; removals wait for the settle time' : null;
    },
    wakeAt: (members: ServiceMembers): number =>
      [...members.values()].reduce((earliest, member) => {
        if (member.presence === 'missing') return Math.min(earliest, keptUntil(member));
        if (member.presence === 'suspect') return Math.min(earliest, suspectUntil(member));
        return earliest;
      }, Infinity),
  };
}

/** The shrink guard: more than `crowd_share` (and at least 2) lost within the window, or too few would be left. */
function isCrowd(input: ServiceInput, lost: number, { now, due }: Moment, rules: MembershipRules): boolean {
  const recent = [...input.members].filter(
    ([id, member]) =>
      member.presence !== 'present' &&
      !member.registration.leaving &&
      !isTakenOut(input, id, due) &&
      member.vanished_at !== null &&
      now - member.vanished_at <= rules.crowd_ms + rules.settle_ms,
  ).length;
  const together = Math.max(lost, recent);
  const total = input.seen.size + together;
  if (together >= 2 && together / total > rules.crowd_share) return true;
  return together >= 2 && input.seen.size < effectiveSpec(input.record.spec).min_available;
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
