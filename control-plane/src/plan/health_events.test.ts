import { expect, test } from 'vitest';
import type { Heartbeat } from '../model/gateway.js';
import { buildPeer, buildSet, buildWitnesses } from '../testing/builders.js';
import { NOTHING_REPORTED, observeHealth, type ReportedHealth } from './health_events.js';
import type { World } from './world.js';

const applied = { epoch: 1, generation: 1 };
type Heard = Readonly<Record<string, Partial<Heartbeat>>>;

/** `shop` with the eligible instance `a` and the drained instance `b`. */
function worldOf(heard: Heard, silent: readonly string[] = []): Pick<World, 'witnesses' | 'compiled'> {
  const peers = [
    buildPeer({ id: 'a', host: '10.0.0.1' }),
    buildPeer({ id: 'b', host: '10.0.0.2', weight: 0, state: 'draining' }),
  ];
  const set = buildSet({ peers });
  const compiled = new Map([
    ['shop', { set, explained: new Map(), valid_until: Infinity, fallback: null, gone: [], problems: [] }],
  ]);
  const witnesses = buildWitnesses(heard, { now: 10_000 });
  const beats = [...witnesses.fleet.heard].map(
    ([id, one]) => [id, { ...one, changed_at: silent.includes(id) ? 0 : 10_000 }] as const,
  );
  return { compiled, witnesses: { ...witnesses, fleet: { ...witnesses.fleet, heard: new Map(beats) } } };
}
const says = (state: string | null, instance = 'a', more: Partial<Heartbeat> = {}): Partial<Heartbeat> => ({
  applied,
  ...(state === null ? {} : { health: { [`shop|${instance}`]: { state, reason: 'timed out', since: 1 } } }),
  ...more,
});

/** The events of each of these moments, one after the other. */
function story(...moments: readonly Pick<World, 'witnesses' | 'compiled'>[]): readonly string[] {
  let reported: ReportedHealth = NOTHING_REPORTED;
  return moments.map((world) => {
    const seen = observeHealth(reported, world);
    reported = seen.reported;
    return seen.events.map(({ event, instance = '*' }) => `${event} ${instance}`).join(', ');
  });
}

test('one event for each change, however many gateways see it', () => {
  const moments = [
    worldOf({ g1: says(null), g2: says(null) }),
    worldOf({ g1: says('ejected'), g2: says(null) }),
    worldOf({ g1: says('ejected'), g2: says('ejected') }),
    worldOf({ g1: says('half_open'), g2: says('ejected') }),
    worldOf({ g1: says('ejected'), g2: says('failing') }),
    worldOf({ g1: says(null), g2: says('failing') }),
    worldOf({ g1: says('warming'), g2: says(null) }),
  ];
  expect(story(...moments)).toEqual(['', 'ejected a', '', '', 'failing a', '', 'recovered a']);
});

test('a breaker is one event when the first gateway leaves the service alone, and one when none does any more', () => {
  const breakers = { shop: { state: 'open', reason: '60% of 20 requests failed within 10 s', since: 1 } };
  const open = says(null, 'a', { breakers });
  const moments = [
    worldOf({ g1: says(null), g2: says(null) }),
    worldOf({ g1: open, g2: says(null) }),
    worldOf({ g1: open, g2: open }),
    worldOf({ g1: says(null), g2: open }),
    worldOf({ g1: says(null), g2: open }, ['g2']),
    worldOf({ g1: says(null), g2: says(null) }),
  ];
  expect(story(...moments)).toEqual(['', 'breaker_opened *', '', '', '', 'breaker_closed *']);
});

test('panic begins with the first gateway and ends with the last one', () => {
  const panic = { panic: ['shop'] };
  const moments = [
    worldOf({ g1: says('failing', 'a', panic), g2: says(null) }),
    worldOf({ g1: says('failing', 'a', panic), g2: says('failing', 'a', panic) }),
    worldOf({ g1: says('failing'), g2: says('failing') }),
  ];
  expect(story(...moments)).toEqual(['failing a, panic *', '', 'recovered *']);
});

test('the message says who finds what', () => {
  const { events } = observeHealth(NOTHING_REPORTED, worldOf({ g1: says('ejected'), g2: says('failing') }));
  expect(events.map(({ message }) => message)).toEqual([
    'a ejected on gateway g1 (timed out) and failing on gateway g2 (timed out)',
  ]);
});

test('a gateway that falls silent, or has no sets yet, takes nothing back; one that is forgotten does', () => {
  const out = worldOf({ g1: says('ejected'), g2: says(null) });
  expect(story(out, worldOf({ g1: says('ejected'), g2: says(null) }, ['g1']))).toEqual(['ejected a', '']);
  expect(story(out, worldOf({ g1: { applied: null }, g2: says(null) }))).toEqual(['ejected a', '']);
  expect(story(out, worldOf({ g2: says(null) }))).toEqual(['ejected a', 'recovered a']);
});

test('nothing is reported of an instance that may get no request', () => {
  expect(story(worldOf({ g1: says('ejected', 'b') }), worldOf({ g1: says(null) }))).toEqual(['', '']);
});
