import type { Registration } from '../model/registration.js';

/*
 * Who belongs to a service, as far as can be known. A registration that is there is `present`. One that vanished is
 *
 *   missing  kept as it was: the view may be wrong (silence before it, an empty service) or the instance may be
 *            back in a moment (a restart under the same identity publishes nothing);
 *   suspect  kept in use, visibly: for a bounded time, where it vanished together with too many others or a person holds the
 *            service; until somebody speaks, where nobody else of the service takes requests (docs/adr/0021);
 *   gone     down, and listed only until its last request is over.
 *
 * present → missing → suspect → gone, each step optional, and back to present from all of them. An instance that
 * said `leaving` and whose node is deleted was deregistered: it is gone at once. So is one of which a person says that it is gone. So is one that a person had taken out of
 * use (drained, isolated): nobody loses it, and giving it back must not aim traffic at where it was. All moments are
 * monotonic milliseconds.
 */

export type Presence = 'present' | 'missing' | 'suspect' | 'gone';

export interface Member {
  readonly registration: Registration;
  readonly presence: Presence;
  /** When this presence began. */
  readonly since: number;
  /** When the registration vanished; of one that is present, when it did so last, or null. */
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
