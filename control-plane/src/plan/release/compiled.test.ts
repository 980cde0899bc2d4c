import { expect, it } from 'vitest';
import { NO_INTENT } from '../../model/intent.js';
import type { ReleaseTraffic } from '../../model/release.js';
import { eligible } from '../../model/set.js';
import { buildRegistration } from '../../testing/builders.js';
import { compileService } from '../compile.js';
import type { Member } from '../membership.js';

const member = (id: string, version: string, ready = true): [string, Member] => [
  id,
  {
    registration: buildRegistration({ id, version, ready }),
    presence: 'present',
    since: 0,
    vanished_at: null,
  },
];
const RELEASE: ReleaseTraffic = {
  release: 'rel-1',
  stable: 'v1',
  shares: { v1: 95, v2: 5 },
  draining: [],
  batch: 'batch 1',
};

function weights(members: readonly [string, Member][], release: ReleaseTraffic | null, versions = {}) {
  const { set } = compileService('shop', new Map(members), { ...NO_INTENT, versions }, 0, release);
  return Object.fromEntries(set.peers.filter(eligible).map(({ id, weight }) => [id, weight]));
}

it('the shares of a release apply, whatever the service has of its own', () => {
  const members = [member('a', 'v1'), member('b', 'v1'), member('c', 'v2')];
  expect(weights(members, RELEASE, { v2: 100 })).toEqual({ a: 475_000, b: 475_000, c: 50_000 });
  expect(weights(members, null, { v2: 100 })).toEqual({ c: 1_000_000 });
});

it('a version with no ready instance gives its share back, with nobody having to notice', () => {
  expect(weights([member('a', 'v1'), member('c', 'v2', false)], RELEASE)).toEqual({ a: 1_000_000 });
  expect(weights([member('a', 'v1', false), member('c', 'v2')], RELEASE)).toEqual({ c: 1_000_000 });
});

it('a version that is no part of the release gets nothing', () => {
  expect(weights([member('a', 'v1'), member('d', 'v3')], RELEASE)).toEqual({ a: 1_000_000 });
});
