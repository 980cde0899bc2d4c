import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Registration, UnreadNode } from '../model/registration.js';
import { buildEncoded, buildPeer, buildRegistration, buildSet, buildView } from '../testing/builders.js';
import { NO_INTENT, type InstanceIntent, type StoredIntent } from '../model/intent.js';
import { DEFAULT_RULES, surplusGone, type Membership } from './membership.js';
import { observe, type Observation } from './observe.js';
import { membersOf } from './remembered.js';

const RULES = { ...DEFAULT_RULES, settle_ms: 8_000 };

/** What is decided where somebody isolated `ids` of the shop. */
function isolating(ids: ReadonlySet<string>): ReadonlyMap<string, StoredIntent> {
  const isolated: InstanceIntent = { by: 'ann', reason: '', at: '2026-05-01T12:00:00Z', state: 'isolated' };
  const instances = Object.fromEntries([...ids].map((id) => [id, isolated]));
  return new Map([['shop', { service: 'shop', record: { ...NO_INTENT, instances }, etag: '' }]]);
}

/** Runs views through `observe`, a moment after the other. */
function history(rules = RULES) {
  let membership: Membership = new Map();
  let last: Observation | undefined;
  const takenOut = new Set<string>();
  return {
    takenOut,
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
        due: 0,
        intents: isolating(takenOut),
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
      expect(seen.protections.get('shop')).toMatch(/cannot be read/);
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
    expect(h.see(1_100, [c, d]).protections.size).toBe(0);
    expect(h.presence()).toEqual({ a: 'gone', b: 'gone', c: 'present', d: 'present' });
    h.see(1_200, [a, c, d]);
    expect(h.presence()).toMatchObject({ a: 'present' });
  });

  test('and leaves its service empty, waits for the settle time', () => {
    const h = history();
    h.see(0, [a]);
    const empty = h.see(1_000, []);
    expect(empty.protections.get('shop')).toMatch(/no instance/);
    expect(empty.wake_at).toBe(9_000);
    h.see(8_999, []);
    expect(h.presence()).toEqual({ a: 'missing' });
    h.see(9_000, []);
    expect(h.presence()).toEqual({ a: 'gone' });
  });

  test('after a gap in the answers, waits until that has settled', () => {
    const h = history();
    h.see(0, [a, b, c, d]);
    const after = h.see(1_000, [b, c, d], 9_000);
    expect(after.protections.get('shop')).toMatch(/silent/);
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
    expect(suspected.protections.get('shop')).toMatch(/2 instances/);
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

test('property: what is registered is present; what vanished is never gone before its time, nor kept for ever', () => {
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
      }
      h.see(now + 1, []);
      h.see(now + 1_000_000, []);
      h.see(now + 2_000_000, []);
      expect(Object.values(h.presence()).every((presence) => presence === 'gone')).toBe(true);
    }),
  );
});
