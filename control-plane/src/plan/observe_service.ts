import type { Registration } from '../model/registration.js';
import type { Member, MembershipRules, ServiceMembers } from './membership.js';
import { arrival, departure, type Departure, type MembershipEventName } from './membership_events.js';
import { isAccepted, type Hold } from './hold.js';
import { isTakenOut, NO_REMOVALS, removalsOf } from './removals.js';
import type { Moment, ServiceInput } from './service_input.js';

export interface ServiceInstanceEvent {
  readonly instance: string;
  readonly event: MembershipEventName;
  readonly message: string;
}

export interface ServiceObservation {
  /** The same object as before where nothing changed. */
  readonly members: ServiceMembers;
  readonly events: readonly ServiceInstanceEvent[];
  /** Why removals wait; empty if none does, or only for a moment. */
  readonly holds: readonly Hold[];
  /** True if nothing but what is registered can change the members. */
  readonly settled: boolean;
  /** With the same input nothing changes before `now` is here; Infinity if never. */
  readonly wake_at: number;
  /** Nor before `due` is here, at which something that people decided expires; Infinity if never. */
  readonly valid_until: number;
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
        { registration, presence: 'present', since: now, vanished_at: lastVanishing(old) },
        ...arrival(old, registration),
      );
  }
  const missing = [...before].filter(([id]) => !seen.has(id));
  const removals = missing.length === 0 ? NO_REMOVALS : removalsOf(input, missing, { now, due }, rules);
  for (const [id, old] of missing) {
    const next = removals.next(id, old);
    if (next === old) put(id, old, null, '');
    else put(id, next, ...departure(old, next, reasonOf(input, id, old, due)));
  }
  const pending = missing.filter(([id]) => members.get(id)?.presence !== 'gone');
  return {
    members: changed || members.size !== before.size ? members : before,
    events,
    holds: removals.holds(members),
    settled: pending.length === 0,
    wake_at: removals.wakeAt(members),
    valid_until: removals.validUntil,
  };
}

/**
 * When a member that is registered vanished last: those that vanished with it and are not back yet were lost together with it. Of
 * one that is known only from what was published it is not known.
 */
function lastVanishing(old: Member | undefined): number | null {
  return old === undefined || old.registration.path === '' ? null : old.vanished_at;
}

/** On whose word a member that vanished goes. */
function reasonOf(input: ServiceInput, id: string, old: Member, due: number): Departure {
  if (isTakenOut(input, id, due)) return { takenOut: true, accepted: null };
  const { accepted } = input.record;
  return { takenOut: false, accepted: accepted && isAccepted(input.record, id, old) ? accepted.by : null };
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
