import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Registration, UnreadNode } from '../model/registration.js';
import { buildEncoded, buildPeer, buildRegistration, buildSet, buildView } from '../testing/builders.js';
import { NO_INTENT, type InstanceIntent, type IntentRecord, type StoredIntent } from '../model/intent.js';
import { DEFAULT_RULES, surplusGone, type Membership } from './membership.js';
import { observe, type Observation } from './observe.js';
import { membersOf } from './remembered.js';

const RULES = { ...DEFAULT_RULES, settle_ms: 8_000 };

/** What is decided where somebody isolated `ids` of the shop, and said something of those that vanished. */
function decided(ids: ReadonlySet<string>, words: Words): ReadonlyMap<string, StoredIntent> {
  const isolated: InstanceIntent = { by: 'ann', reason: '', at: AT, state: 'isolated' };
  const instances = Object.fromEntries([...ids].map((id) => [id, isolated]));
  return new Map([['shop', { service: 'shop', record: { ...NO_INTENT, ...words, instances }, etag: '' }]]);
}
type Words = Pick<IntentRecord, 'hold' | 'accepted'>;
const AT = '2026-05-01T12:00:00Z';

/** Runs views through `observe`, a moment after the other. */
function history(rules = RULES) {
  let membership: Membership = new Map();
  let last: Observation | undefined;
  const takenOut = new Set<string>();
  let words: Words = {};
  return {
    takenOut,
    /** Says that `id`, whose registration vanished, is gone. */
    accept(id: string, by: string): void {
      const { incarnation = '' } = membership.get('shop')?.get(id)?.registration ?? {};
      words = { ...words, accepted: { by, reason: '', at: AT, instances: { [id]: incarnation } } };
    },
    /** Holds the service until `ms` after the beginning. */
    hold(ms: number): void {
      words = { hold: { by: 'ann', reason: '', at: AT, expires: new Date(ms).toISOString() } };
    },
    see(
      now: number,
      instances: readonly Registration[],
      settleUntil = -Infinity,
      unread: readonly UnreadNode[] = [],
    ): Observation {
      const view = buildView(instances, { unread, services: ['shop'] });
      last = observe({
        previous: membership,
        view,
        now,
        settle_until: settleUntil,
        rules,
        due: now,
        intents: decided(takenOut, words),
        traffic: new Map(),
      });
      membership = last.membership;
      return last;
    },
    presence(): Record<string, string> {
      return Object.fromEntries([...(membership.get('shop') ?? [])].map(([id, one]) => [id, one.presence]));
    },
    members: () => membership.get('shop') ?? new Map<string, never>(),
    start(from: Membership): void {
      membership = from;
    },
  };
}
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((id) => buildRegistration({ id })) as [
  Registration,
  Registration,
  Registration,
  Registration,
];

describe('nodes that could not be read', () => {
  const closed: UnreadNode = { path: '/services/shop/providers/x', service: 'shop', reason: 'no auth' };
  const published = buildSet({ peers: [buildPeer({ id: 'a' }), buildPeer({ id: 'b' })] });
  const remembered = membersOf([{ ...buildEncoded(published), epoch: 1, generation: 1, at: '' }], 0);

  test.each([
    ['a node of the service', closed],
    ['the whole root', { ...closed, path: '/services', service: null }],
  ])(
    '%s: what was published before and is not there may be behind it, and stays until that is known',
    (_, node) => {
      const h = history();
      h.start(remembered);
      const seen = h.see(1_000_000, [b], -Infinity, [node]);
      expect(h.presence()).toEqual({ a: 'missing', b: 'present' });
      expect(seen).toMatchObject({ events: [{ instance: 'b' }], wake_at: Infinity });
      expect(seen.holds.get('shop')).toEqual([
        { kind: 'unread', instances: ['a'], since: 0, until: Infinity },
      ]);
      h.see(1_000_001, [b]);
      expect(h.presence()).toEqual({ a: 'gone', b: 'present' });
    },
  );

  test('they keep nobody whose registration was seen to go, nor any of another service', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    h.see(1_000, [b, c, d], -Infinity, [closed]);
    h.see(9_000, [b, c, d], -Infinity, [closed]);
    expect(h.presence()).toMatchObject({ a: 'gone' });
    const other = history();
    other.start(remembered);
    other.see(1_000_000, [b], -Infinity, [{ ...closed, service: 'cart' }]);
    expect(other.presence()).toEqual({ a: 'gone', b: 'present' });
  });
});

describe('a registration that vanishes', () => {
  test('is kept for a moment, then gone', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    expect(h.see(1_000, [b, c, d]).events).toMatchObject([{ instance: 'a', event: 'missing' }]);
    expect(h.presence()).toMatchObject({ a: 'missing' });
    expect(h.see(2_999, [b, c, d]).wake_at).toBe(3_000);
    expect(h.see(3_000, [b, c, d]).events).toMatchObject([{ instance: 'a', event: 'lost' }]);
    expect(h.presence()).toMatchObject({ a: 'gone', b: 'present' });
  });

  test('and is back within two seconds: nothing was published', () => {
    const h = history();
    h.see(0, [a, b, c]);
    h.see(1_000, [b, c]);
    h.see(2_500, [a, b, c]);
    expect(h.presence()).toEqual({ a: 'present', b: 'present', c: 'present' });
  });

  test('after it said that it is leaving, is gone at once, even as the last', () => {
    const h = history();
    h.see(0, [{ ...a, leaving: true }]);
    expect(h.see(10, []).events).toMatchObject([{ event: 'deregistered' }]);
    expect(h.presence()).toEqual({ a: 'gone' });
  });

  test('after a person had taken it out of use, is gone at once, and counts for no crowd', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    h.takenOut.add('a').add('b');
    expect(h.see(1_000, [c, d]).events.map(({ instance, event }) => `${instance} ${event}`)).toEqual([
      'a deregistered',
      'b deregistered',
    ]);
    h.takenOut.clear();
    expect(h.see(1_100, [c, d]).holds.size).toBe(0);
    expect(h.presence()).toEqual({ a: 'gone', b: 'gone', c: 'present', d: 'present' });
    h.see(1_200, [a, c, d]);
    expect(h.presence()).toMatchObject({ a: 'present' });
  });

  test('and leaves its service empty, stays in use until somebody speaks', () => {
    const h = history();
    h.see(0, [a]);
    const empty = h.see(1_000, []);
    expect(empty.holds.get('shop')).toEqual([
      { kind: 'last', instances: ['a'], since: 1_000, until: Infinity },
    ]);
    expect(empty.wake_at).toBe(9_000);
    h.see(8_999, []);
    expect(h.presence()).toEqual({ a: 'missing' });
    expect(h.see(9_000, []).wake_at).toBe(Infinity);
    expect(h.presence()).toEqual({ a: 'suspect' });
    h.see(9_000_000, []);
    expect(h.presence()).toEqual({ a: 'suspect' });
    h.accept('a', 'ann');
    const gone = h.see(9_000_001, []);
    expect(gone).toMatchObject({ events: [{ instance: 'a', event: 'lost' }], wake_at: Infinity });
    expect(gone.events[0]?.message).toMatch(/ann says/);
    expect(h.presence()).toEqual({ a: 'gone' });
    expect(gone.holds.size).toBe(0);
  });

  test('after a gap in the answers, waits until that has settled', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    const after = h.see(1_000, [b, c, d], 9_000);
    expect(after.holds.get('shop')).toEqual([
      { kind: 'settle', instances: ['a'], since: 1_000, until: 9_000 },
    ]);
    h.see(8_999, [b, c, d], 9_000);
    expect(h.presence()).toMatchObject({ a: 'missing' });
    h.see(9_000, [b, c, d], 9_000);
    expect(h.presence()).toMatchObject({ a: 'gone' });
  });
});

describe('the shrink guard', () => {
  test('keeps a crowd that vanished together as suspects for a minute', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    h.see(1_000, [a, b]);
    const suspected = h.see(3_000, [a, b]);
    expect(suspected.events.map((event) => event.event)).toEqual(['suspected', 'suspected']);
    expect(suspected.holds.get('shop')).toEqual([
      { kind: 'suspect', instances: ['c', 'd'], since: 1_000, until: 63_000 },
    ]);
    h.see(62_999, [a, b]);
    expect(h.presence()).toMatchObject({ c: 'suspect', d: 'suspect' });
    h.see(63_000, [a, b]);
    expect(h.presence()).toMatchObject({ c: 'gone', d: 'gone' });
  });
  test('one of three is no crowd', () => {
    const h = history();
    h.see(0, [a, b, c]);
    h.see(1_000, [a, b]);
    h.see(3_000, [a, b]);
    expect(h.presence()).toMatchObject({ c: 'gone' });
  });
  test('can be turned off', () => {
    const h = history({ ...RULES, suspect_ms: 0 });
    h.see(0, [a, b, c, d]);
    h.see(1_000, [a, b]);
    h.see(3_000, [a, b]);
    expect(h.presence()).toMatchObject({ c: 'gone', d: 'gone' });
  });
  test('a suspect that registers again is up at once', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    h.see(1_000, [a, b]);
    h.see(3_000, [a, b]);
    expect(h.see(4_000, [a, b, c, d]).events.map((event) => event.event)).toEqual(['returned', 'returned']);
    expect(h.presence()).toEqual({ a: 'present', b: 'present', c: 'present', d: 'present' });
  });
});

describe('nobody is left who takes requests', () => {
  test('one that is not ready, is leaving or is taken out counts for nobody', () => {
    for (const other of [
      { ...b, ready: false },
      { ...b, leaving: true },
    ]) {
      const h = history();
      h.see(0, [a, other]);
      expect(h.see(1_000, [other]).holds.get('shop')).toMatchObject([{ kind: 'last', instances: ['a'] }]);
      h.see(100_000, [other]);
      expect(h.presence()).toMatchObject({ a: 'suspect' });
    }
    const h = history();
    h.takenOut.add('b');
    h.see(0, [a, b]);
    h.see(1_000, [b]);
    h.see(100_000, [b]);
    expect(h.presence()).toEqual({ a: 'suspect', b: 'present' });
  });

  test('all have left with a word: nothing is kept, not even one that a crowd would be', () => {
    const leaving = [a, b, c, d].map((one) => ({ ...one, leaving: true }));
    const h = history();
    h.see(0, leaving);
    expect(h.see(10, []).holds.size).toBe(0);
    expect(h.presence()).toEqual({ a: 'gone', b: 'gone', c: 'gone', d: 'gone' });
  });

  test('the first is back: the others, which could not come before, have the whole suspect time', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    h.see(1_000, []);
    h.see(500_000, []);
    const back = h.see(600_000, [a]);
    expect(back.holds.get('shop')).toMatchObject([
      { kind: 'suspect', instances: ['b', 'c', 'd'], until: 660_000 },
    ]);
    h.see(659_999, [a]);
    expect(h.presence()).toEqual({ a: 'present', b: 'suspect', c: 'suspect', d: 'suspect' });
    h.see(660_000, [a]);
    expect(h.presence()).toEqual({ a: 'present', b: 'gone', c: 'gone', d: 'gone' });
  });

  test('most of a crowd is back within the moment: the last few are no lesser crowd', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    h.see(1_000, []);
    h.see(2_000, [a, b, c]);
    h.see(3_100, [a, b, c]);
    expect(h.presence()).toEqual({ a: 'present', b: 'present', c: 'present', d: 'suspect' });
  });

  test('what came back vanishes anew by its own time', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    h.see(1_000, [b, c, d]);
    h.see(1_500, [a, b, c, d]);
    h.see(50_000, [b, c, d]);
    h.see(51_999, [b, c, d]);
    expect(h.presence()).toMatchObject({ a: 'missing' });
    h.see(52_000, [b, c, d]);
    expect(h.presence()).toMatchObject({ a: 'gone' });
  });
});

describe('a person', () => {
  test('holds: nothing that vanished is removed before the deadline, also a single one, also one that vanishes later', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    h.hold(200_000);
    h.see(1_000, [b, c, d]);
    const held = h.see(3_000, [b, c, d]);
    expect(h.presence()).toMatchObject({ a: 'suspect' });
    expect(held.holds.get('shop')).toMatchObject([{ kind: 'person', instances: ['a'], until: 200_000 }]);
    h.see(150_000, [c, d]);
    h.see(152_000, [c, d]);
    h.see(199_999, [c, d]);
    expect(h.presence()).toMatchObject({ a: 'suspect', b: 'suspect' });
    h.see(200_000, [c, d]);
    expect(h.presence()).toMatchObject({ a: 'gone' });
    h.see(212_000, [c, d]);
    expect(h.presence()).toMatchObject({ b: 'gone' });
  });

  test('holds: what leaves with a word, or was taken out, goes nevertheless', () => {
    const h = history();
    h.hold(200_000);
    h.takenOut.add('b');
    h.see(0, [{ ...a, leaving: true }, b, c]);
    h.see(1_000, [c]);
    expect(h.presence()).toEqual({ a: 'gone', b: 'gone', c: 'present' });
  });

  test('accepts: whoever is meant goes at once; who registered meanwhile, or vanishes later, is another', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    h.see(1_000, []);
    h.see(30_000, []);
    h.accept('a', 'ann');
    h.see(30_100, [{ ...a, incarnation: 'later' }]);
    expect(h.presence()).toEqual({ a: 'present', b: 'suspect', c: 'suspect', d: 'suspect' });
    h.see(30_200, []);
    expect(h.presence()).toMatchObject({ a: 'missing' });
    h.see(90_000, []);
    expect(h.presence()).toMatchObject({ a: 'suspect' });
    h.accept('a', 'ann');
    h.see(90_001, []);
    expect(h.presence()).toMatchObject({ a: 'gone', b: 'suspect' });
  });
});

test('what was published before a start has vanished, and is not unknown', () => {
  const peers = [buildPeer({ id: 'a' }), buildPeer({ id: 'b', state: 'draining', weight: 0 })];
  const published = { ...buildEncoded(buildSet({ peers })), epoch: 1, generation: 1, at: '' };
  const h = history();
  h.start(membersOf([published], 0));
  h.see(10, [c], 8_000);
  expect(h.presence()).toEqual({ a: 'missing', b: 'gone', c: 'present' });
});

test('zone and role of what was published are remembered; a changed role is a changed registration', () => {
  const peers = [buildPeer({ id: 'a', zone: 'z1', backup: true })];
  const published = { ...buildEncoded(buildSet({ peers })), epoch: 1, generation: 1, at: '' };
  const remembered = membersOf([published], 0).get('shop')?.get('a')?.registration;
  expect(remembered).toMatchObject({ zone: 'z1', backup: true });
  const h = history();
  h.see(0, [a]);
  expect(h.see(10, [{ ...a }]).events).toEqual([]);
  expect(h.see(20, [{ ...a, backup: true }]).events).toMatchObject([{ event: 'updated' }]);
});

test('weights stretched by version shares come back to the scale of registered ones', () => {
  const peers = [
    buildPeer({ id: 'a', weight: 500_000 }),
    buildPeer({ id: 'b', weight: 250_000 }),
    buildPeer({ id: 'c', weight: 0, version: 'v2' }),
  ];
  const published = { ...buildEncoded(buildSet({ peers })), epoch: 1, generation: 1, at: '' };
  const weights = [...(membersOf([published], 0, () => true).get('shop') ?? [])].map(
    ([, member]) => member.registration.weight,
  );
  expect(weights).toEqual([100, 50, 100]);
});

test('after a standstill of this process nobody is taken out before the settle time', () => {
  const h = history();
  h.see(0, [a, b, c, d]);
  h.see(1_000, [a, b]);
  h.see(3_000, [a, b]);
  h.see(200_000, [a, b], 208_000);
  expect(h.presence()).toMatchObject({ c: 'suspect', d: 'suspect' });
  h.see(208_000, [a, b], 208_000);
  expect(h.presence()).toMatchObject({ c: 'gone', d: 'gone' });
});

test('of the gone only the newest are kept', () => {
  const h = history({ ...RULES, suspect_ms: 0 });
  h.see(0, [a, b, c, d]);
  h.see(1_000, [a, b, c]);
  h.see(4_000, [a, b]);
  h.see(8_000, [a, b]);
  const members = h.members();
  expect(surplusGone(members, 2)).toEqual([]);
  expect(surplusGone(members, 1)).toEqual(['d']);
});

test('a service in which nothing changed keeps its very map', () => {
  const h = history();
  const first = h.see(0, [a, b]).membership.get('shop');
  expect(h.see(50, [{ ...a }, { ...b }]).membership.get('shop')).toBe(first);
});

test('property: what is registered is present; what vanished is never gone before its time, nor kept for ever beside others, and the last only by a word', () => {
  const views = fc.array(fc.tuple(fc.integer({ min: 1, max: 5_000 }), fc.subarray([a, b, c, d])), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(views, (steps) => {
      const h = history();
      const vanished = new Map<string, number>();
      let now = 0;
      for (const [wait, instances] of steps) {
        now += wait;
        h.see(now, instances);
        const there = new Set(instances.map((one) => one.id));
        for (const [id, presence] of Object.entries(h.presence())) {
          if (there.has(id)) vanished.delete(id);
          else vanished.set(id, vanished.get(id) ?? now);
          const away = now - (vanished.get(id) ?? now);
          expect(presence === 'present').toBe(there.has(id));
          if (presence === 'gone') expect(away).toBeGreaterThanOrEqual(RULES.flap_ms);
        }
        const kept = Object.values(h.presence());
        if (kept.length > 0) expect(kept.some((presence) => presence !== 'gone')).toBe(true);
      }
      const other = buildRegistration({ id: 'other' });
      h.see(now + 1, [other]);
      h.see(now + 1_000_000, [other]);
      h.see(now + 2_000_000, [other]);
      const { other: present, ...others } = h.presence();
      expect(present).toBe('present');
      expect(Object.values(others).every((presence) => presence === 'gone')).toBe(true);
    }),
  );
});
