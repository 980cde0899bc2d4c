import { own } from '../model/dictionary.js';
import type { Decided, IntentRecord } from '../model/intent.js';
import type { HoldKind } from '../model/hold.js';
import { spellAuthor } from './layers.js';
import type { Member, ServiceMembers } from './membership.js';

/** Members that are kept for one reason. Moments are monotonic milliseconds; Infinity = until somebody speaks. */
export interface Hold {
  readonly kind: HoldKind;
  /** Sorted. */
  readonly instances: readonly string[];
  readonly since: number;
  readonly until: number;
}

/** The person's hold that is in force at `due`, or undefined. */
export function holdIn({ hold }: Pick<IntentRecord, 'hold'>, due: number): Decided | undefined {
  return hold?.expires === undefined || Date.parse(hold.expires) <= due ? undefined : hold;
}

/** True if a person said that `member`, which vanished, is gone. A registration that came after it is not meant. */
export function isAccepted(
  { accepted }: Pick<IntentRecord, 'accepted'>,
  id: string,
  member: Member,
): boolean {
  const meant = own(accepted?.instances ?? {}, id);
  if (meant === undefined) return false;
  const { incarnation } = member.registration;
  return meant === '' || incarnation === '' || meant === incarnation;
}

/** True for a member that vanished and is still in use. */
export function isKept({ presence }: Pick<Member, 'presence'>): boolean {
  return presence === 'missing' || presence === 'suspect';
}

/** The members as an acceptance leaves them. */
export function membersAfter(members: ServiceMembers, record: IntentRecord): ServiceMembers {
  if (record.accepted === undefined) return members;
  return new Map(
    [...members].map(([id, member]) =>
      isKept(member) && isAccepted(record, id, member) ? [id, { ...member, presence: 'gone' }] : [id, member],
    ),
  );
}

/** For a line of a change: `held by ann until …: reason`, or `none`. */
export function holdText(hold: Decided | undefined): string {
  return hold ? `held ${spellAuthor(hold)}` : 'none';
}
