import { expect, test } from 'vitest';
import type { Peer } from '../model/set.js';
import { sharesByVersion, spellPercent, trafficOf } from './traffic.js';

const peer = (id: string, weight: number, more: Partial<Peer> = {}): Peer => ({
  ...{ id, host: '10.0.0.1', port: 80, version: 'v1', weight, down: false, state: 'up' },
  ...more,
});

test.each<[string, readonly Peer[], Record<string, number>]>([
  ['weights', [peer('a', 100), peer('b', 100), peer('c', 200)], { a: 25, b: 25, c: 50 }],
  ['parts of a share', [peer('a', 250_000), peer('b', 750_000)], { a: 25, b: 75 }],
  ['who is out has none', [peer('a', 100), peer('b', 0, { state: 'draining' })], { a: 100 }],
  ['backups wait', [peer('a', 1), peer('b', 1, { backup: true })], { a: 100 }],
  ['and count where nothing else is left', [peer('a', 0), peer('b', 1, { backup: true })], { b: 100 }],
  ['nobody', [], {}],
])('%s', (_name, peers, expected) => {
  expect(Object.fromEntries(trafficOf(peers))).toEqual(expected);
});

test('by version, to one decimal', () => {
  const peers = [peer('a', 1), peer('b', 1), peer('c', 1, { version: 'v2' })];
  expect(sharesByVersion(peers)).toEqual({ v1: 66.7, v2: 33.3 });
});

test.each([
  [0, '0 %'],
  [0.01, '<0.1 %'],
  [100 / 3, '33.3 %'],
  [100, '100 %'],
])('%f is spelled %s', (percent, text) => {
  expect(spellPercent(percent)).toBe(text);
});
