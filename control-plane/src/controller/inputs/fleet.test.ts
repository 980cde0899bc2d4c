import { expect, test } from 'vitest';
import type { FleetReport, Heartbeat, RosterEntry } from '../../model/gateway.js';
import { buildHeartbeat } from '../../testing/builders.js';
import { Fleet } from './fleet.js';

const report = (now: number, ...beats: readonly Partial<Heartbeat>[]): FleetReport => ({
  complete: true,
  listed: new Map(),
  heard: new Map(
    beats.map((beat) => {
      const heartbeat = buildHeartbeat(beat);
      return [heartbeat.id, { heartbeat, changed_at: now }];
    }),
  ),
});
const roster = (...ids: readonly string[]): ReadonlyMap<string, RosterEntry> =>
  new Map(ids.map((id) => [id, { id, boot: 'b', host: 'h', since: '' }]));

test('nothing is known before roster and heartbeats have both been read', () => {
  const fleet = new Fleet();
  expect(fleet.complete).toBe(false);
  fleet.takeReport(report(0), 0);
  expect(fleet.complete).toBe(false);
  fleet.takeRoster(roster(), 0);
  expect(fleet.complete).toBe(true);
  fleet.takeReport({ complete: false, heard: new Map(), listed: new Map() }, 1);
  expect(fleet.complete).toBe(false);
});

test('a restart is one gateway after another; two boots in turn are two gateways under one id', () => {
  const fleet = new Fleet();
  const hear = (now: number, boot: string, seq: number): readonly string[] => {
    fleet.takeReport(report(now, { id: 'g', boot, seq }), now);
    return [...fleet.witnesses(now).shared];
  };
  expect(hear(0, 'one', 7)).toEqual([]);
  expect(hear(1_000, 'two', 1)).toEqual([]);
  expect(hear(2_000, 'two', 2)).toEqual([]);
  // What an older Redis still remembers of the first is no sign of life.
  expect(hear(2_500, 'one', 7)).toEqual([]);
  expect(hear(3_000, 'one', 8)).toEqual(['g']);
  expect(hear(4_000, 'two', 3)).toEqual(['g']);
  expect(hear(62_999, 'two', 4)).toEqual(['g']);
  expect(hear(63_000, 'two', 5)).toEqual([]);
});

test('who left the roster is remembered for as long as something was heard of it', () => {
  const fleet = new Fleet();
  fleet.takeReport(report(0, { id: 'g' }), 0);
  fleet.takeRoster(roster('g'), 0);
  fleet.takeRoster(roster(), 5);
  expect(fleet.witnesses(6).left).toEqual(new Map([['g', 5]]));
  fleet.takeRoster(roster('g'), 7);
  expect(fleet.witnesses(8).left).toEqual(new Map());
  fleet.takeRoster(roster(), 9);
  fleet.takeReport(report(10), 10);
  expect(fleet.witnesses(11).left).toEqual(new Map());
});

test('who left stays away for as long as Redis goes on listing it', () => {
  const fleet = new Fleet();
  const listed = { ...report(0), listed: new Map([['g', 1_700_000_000]]) };
  fleet.takeReport(listed, 0);
  fleet.takeRoster(roster('g'), 0);
  fleet.takeRoster(roster(), 5);
  fleet.takeReport(listed, 6);
  expect(fleet.witnesses(7).left).toEqual(new Map([['g', 5]]));
});

test('the highest epoch is that of an honest gateway', () => {
  const fleet = new Fleet();
  const MOST = 1_000;
  const at = (epoch: number) => ({ applied: { epoch, generation: 1 } });
  fleet.takeReport(report(0, { id: 'a', ...at(7) }, { id: 'b', ...at(9) }, { id: 'c' }), 0);
  expect(fleet.highestEpoch(MOST)).toBe(9);
  fleet.takeReport(report(0, { id: 'a', ...at(7) }, { id: 'b', ...at(Number.MAX_SAFE_INTEGER) }), 0);
  expect(fleet.highestEpoch(MOST)).toBe(7);
  fleet.takeReport(report(0, { id: 'a', ...at(7) }, { id: 'b', ...at(MOST + 1) }), 0);
  expect(fleet.highestEpoch(MOST)).toBe(7);
  fleet.takeReport(report(0, { id: 'a', ...at(Number.MAX_SAFE_INTEGER) }), 0);
  expect(fleet.highestEpoch(Infinity)).toBe(0);
});
