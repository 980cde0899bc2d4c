import { expect, test } from 'vitest';
import type { Heartbeat } from '../model/gateway.js';
import { buildHeartbeat } from '../testing/builders.js';
import { healthOf, outOn, panickingIn } from './describe_health.js';
import type { Witnesses } from './proof.js';

const applied = { epoch: 7, generation: 20 };
function seen(heard: Record<string, Partial<Heartbeat> & { readonly silentMs?: number }>) {
  const witnesses: Witnesses = {
    roster: new Map([['g9', { id: 'g9', boot: 'b', host: 'h', since: '' }]]),
    fleet: {
      complete: true,
      listed: new Map(),
      heard: new Map(
        Object.entries(heard).map(([id, { silentMs = 0, ...beat }]) => [
          id,
          { heartbeat: buildHeartbeat({ id, ...beat }), changed_at: -silentMs },
        ]),
      ),
    },
    ...{
      now: 0,
      silent_ms: 5_000,
      left: new Map(),
      shared: new Set<string>(),
      unready: null,
      learning: false,
    },
  };
  return { witnesses };
}
const ejected = { 'shop|a': { state: 'ejected', reason: 'connection refused', since: 1_795_000_000 } };

test('each gateway reports for itself; who finds it healthy is left out, who is not heard is unknown', () => {
  const world = seen({
    g1: { applied, health: ejected },
    g2: { applied },
    g3: { applied, health: ejected, silentMs: 6_000 },
    g4: { health: ejected },
  });
  expect(healthOf(world, 'shop', 'a')).toEqual([
    { gateway: 'g1', state: 'ejected', reason: 'connection refused', since: '2026-11-18T11:06:40.000Z' },
    { gateway: 'g3', state: 'unknown', reason: 'the gateway cannot be heard', since: null },
    { gateway: 'g4', state: 'unknown', reason: 'the gateway cannot be heard', since: null },
    { gateway: 'g9', state: 'unknown', reason: 'the gateway cannot be heard', since: null },
  ]);
  expect(healthOf(world, 'shop', 'b').map((one) => one.gateway)).toEqual(['g3', 'g4', 'g9']);
});

test('who is not listed by a gateway that had no room for all may be anything', () => {
  const world = seen({ g1: { applied, health: ejected, health_unlisted: 2 } });
  expect(healthOf(world, 'shop', 'a')[0]).toMatchObject({ state: 'ejected' });
  expect(healthOf(world, 'shop', 'b')[0]).toMatchObject({ state: 'unknown', since: null });
});

test('panic is reported by those who are heard', () => {
  const world = seen({
    g1: { applied, panic: ['shop'] },
    g2: { applied, panic: ['cart'] },
    g3: { applied, panic: ['shop'], silentMs: 6_000 },
  });
  expect(panickingIn(world, 'shop')).toEqual(['g1']);
});

test('out everywhere: every gateway that can be asked says so', () => {
  const isOut = (heard: Parameters<typeof seen>[0]): boolean => outOn(seen(heard), 'shop', 'a').length > 0;
  const as = (state: string) => ({ applied, health: { 'shop|a': { ...ejected['shop|a'], state } } });
  expect(isOut({ g1: as('ejected'), g2: as('failing'), g3: as('half_open') })).toBe(true);
  expect(isOut({ g1: as('ejected'), g2: { applied } })).toBe(false);
  expect(isOut({ g1: as('ejected'), g2: as('warming') })).toBe(false);
  expect(isOut({ g1: as('ejected'), g2: { applied, health_unlisted: 1 } })).toBe(false);
  // A gateway that ignores health finds it ejected all the same; one that is silent, or has no sets yet, is not asked.
  expect(isOut({ g1: as('ejected'), g2: { ...as('ejected'), panic: ['shop'] } })).toBe(true);
  expect(isOut({ g1: as('ejected'), g2: { applied, silentMs: 6_000 } })).toBe(true);
  expect(isOut({ g1: as('ejected'), g2: {} })).toBe(true);
  expect(isOut({ g1: { ...as('ejected'), silentMs: 6_000 } })).toBe(false);
  expect(isOut({})).toBe(false);
});
