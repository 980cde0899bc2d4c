import { HOLD_KINDS, type HoldKind } from '../model/hold.js';
import type { Registration } from '../model/registration.js';
import { byCodeUnit } from './encode.js';
import { holdIn, isAccepted, type Hold } from './hold.js';
import { nextExpiry } from './layers.js';
import type { Member, MembershipRules, ServiceMembers } from './membership.js';
import { inForce, instanceIntent } from './record.js';
import type { Moment, ServiceInput } from './service_input.js';
import { effectiveSpec } from './spec.js';

/** What becomes of the members of one service that vanished, and for how long they are kept. */
export interface Removals {
  /** The member as it is now. */
  readonly next: (id: string, old: Member) => Member;
  /** Why members are kept, the strongest kind first. One that may be back in a moment is not held. */
  readonly holds: (members: ServiceMembers) => readonly Hold[];
  /** When the next of them changes by time alone; Infinity if never. */
  readonly wakeAt: (members: ServiceMembers) => number;
  /** The wall clock at which something that people decided ends and the answers above may be others; Infinity if never. */
  readonly validUntil: number;
}

/** Of a service in which nobody is missing. */
export const NO_REMOVALS: Removals = {
  next: (_id, old) => old,
  holds: () => [],
  wakeAt: () => Infinity,
  validUntil: Infinity,
};

/** True while a person, or a release, keeps the instance out of use. */
export function isTakenOut({ record, release }: ServiceInput, id: string, due: number): boolean {
  return (
    inForce(instanceIntent(record.instances, id), due)?.state !== undefined ||
    release?.draining.includes(id) === true
  );
}

/** Decides about `missing`, the members of `input` that are not registered. */
export function removalsOf(
  input: ServiceInput,
  missing: readonly (readonly [string, Member])[],
  { now, due }: Moment,
  rules: MembershipRules,
): Removals {
  const { record, settle_until: settleUntil, unread } = input;
  /** Known only from what was published, and perhaps one of those that cannot be read. */
  const unknown = (member: Member): boolean => unread && member.registration.path === '';
  const expected = (id: string, member: Member): boolean =>
    member.registration.leaving || isTakenOut(input, id, due);
  const lost = missing.filter(
    ([id, member]) => member.presence !== 'gone' && !expected(id, member) && !unknown(member),
  );
  const vanishedAt = (member: Member): number =>
    member.presence === 'present' ? now : (member.vanished_at ?? now);
  const takes = (id: string, { ready, leaving }: Registration): boolean =>
    ready && !leaving && !isTakenOut(input, id, due);
  const leavesNobody = ![...input.seen].some(([id, registration]) => takes(id, registration));
  // The first one is back after all had vanished: so long as the others were kept, they could not come before it.
  const isBack =
    !leavesNobody &&
    lost.length >= 2 &&
    ![...input.members].some(
      ([id, { presence, registration }]) => presence === 'present' && takes(id, registration),
    );
  const held = holdIn(record, due);
  const heldUntil = held?.expires === undefined ? 0 : now + Date.parse(held.expires) - due;
  const isLost = isBack || (rules.suspect_ms > 0 && isCrowd(input, lost, { now, due }, rules));

  const keptUntil = (member: Member): number =>
    Math.max(
      unknown(member) ? Infinity : 0,
      vanishedAt(member) + rules.flap_ms,
      vanishedAt(member) <= settleUntil ? settleUntil : 0,
      leavesNobody ? vanishedAt(member) + rules.settle_ms : 0,
    );
  const crowdUntil = (member: Member): number =>
    Math.max(vanishedAt(member), member.presence === 'suspect' ? member.since : keptUntil(member)) +
    rules.suspect_ms;
  const suspectUntil = (member: Member): number =>
    Math.max(crowdUntil(member), settleUntil, heldUntil, leavesNobody ? Infinity : 0);

  const next = (id: string, old: Member): Member => {
    if (old.presence === 'gone') return old;
    const as = (presence: Member['presence']): Member =>
      old.presence === presence && !(presence === 'suspect' && isBack)
        ? old
        : { ...old, presence, since: now, vanished_at: vanishedAt(old) };
    if (expected(id, old) || (isAccepted(record, id, old) && !unknown(old))) return as('gone');
    if (old.presence === 'suspect') return isBack || now < suspectUntil(old) ? as('suspect') : as('gone');
    if (now < keptUntil(old)) return as('missing');
    return leavesNobody || now < heldUntil || isLost ? as('suspect') : as('gone');
  };

  const holdOf = (member: Member): { readonly kind: HoldKind; readonly until: number } | null => {
    if (unknown(member)) return { kind: 'unread', until: Infinity };
    if (leavesNobody) return { kind: 'last', until: Infinity };
    const isSuspect = member.presence === 'suspect';
    const ends: readonly (readonly [HoldKind, number])[] = [
      ['person', heldUntil],
      ['suspect', isSuspect ? crowdUntil(member) : 0],
      ['settle', isSuspect || vanishedAt(member) <= settleUntil ? settleUntil : 0],
    ];
    const [kind, until] = ends.reduce((a, b) => (b[1] > a[1] ? b : a));
    return until > now ? { kind, until } : null;
  };

  // Who is registered and taken out counts for nobody; once that ends, he counts.
  const ends = [...input.seen.keys()].map((id) =>
    nextExpiry(inForce(instanceIntent(record.instances, id), due)),
  );
  const validUntil = Math.min(held?.expires === undefined ? Infinity : Date.parse(held.expires), ...ends);

  return {
    next,
    validUntil,
    holds: (members) => gather(members, holdOf, vanishedAt),
    wakeAt: (members) =>
      [...members.values()].reduce((earliest, member) => {
        if (member.presence === 'missing') return Math.min(earliest, keptUntil(member));
        if (member.presence === 'suspect') return Math.min(earliest, suspectUntil(member));
        return earliest;
      }, Infinity),
  };
}

function gather(
  members: ServiceMembers,
  holdOf: (member: Member) => { readonly kind: HoldKind; readonly until: number } | null,
  vanishedAt: (member: Member) => number,
): readonly Hold[] {
  const holds = new Map<HoldKind, Hold>();
  for (const [id, member] of members) {
    if (member.presence !== 'missing' && member.presence !== 'suspect') continue;
    const held = holdOf(member);
    if (!held) continue;
    const { instances = [], since = Infinity, until = 0 } = holds.get(held.kind) ?? {};
    holds.set(held.kind, {
      kind: held.kind,
      instances: [...instances, id],
      since: Math.min(since, vanishedAt(member)),
      until: Math.max(until, held.until),
    });
  }
  return HOLD_KINDS.flatMap((kind) => holds.get(kind) ?? []).map((hold) => {
    return { ...hold, instances: [...hold.instances].sort(byCodeUnit) };
  });
}

/**
 * The shrink guard: more than `crowd_share` (and at least 2) lost within the window, or too few would be left. Those of a crowd
 * that are back already, after they vanished with the others, still count.
 */
function isCrowd(
  input: ServiceInput,
  lost: readonly (readonly [string, Member])[],
  { now, due }: Moment,
  rules: MembershipRules,
): boolean {
  const newest = Math.max(
    -Infinity,
    ...lost.map(([, { presence, vanished_at: at }]) => (presence === 'present' ? now : (at ?? now))),
  );
  const vanished = [...input.members].filter(
    ([id, { registration, vanished_at: at }]) =>
      at !== null && !registration.leaving && !isTakenOut(input, id, due),
  );
  const recent = vanished.filter(
    ([, { presence, vanished_at: at }]) =>
      presence !== 'present' && now - (at ?? 0) <= rules.crowd_ms + rules.settle_ms,
  ).length;
  const back = vanished.filter(
    ([id, { presence, vanished_at: at }]) =>
      presence === 'present' && input.seen.has(id) && (at ?? 0) >= newest - rules.flap_ms,
  ).length;
  const away = Math.max(lost.length, recent);
  if (away === 0) return false;
  const together = away + back;
  if (together >= 2 && together / (input.seen.size + away) > rules.crowd_share) return true;
  return together >= 2 && input.seen.size < effectiveSpec(input.record.spec).min_available;
}
