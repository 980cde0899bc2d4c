import { expect, test } from 'vitest';
import { NO_INTENT, type InstanceIntent, type IntentRecord } from '../model/intent.js';
import type { PublishedDocument } from '../model/set.js';
import { buildEncoded, buildRegistration, buildRoutes, buildView } from '../testing/builders.js';
import { compileService } from './compile.js';
import type { Member } from './membership.js';
import { recallRecords } from './recall.js';

const WALL = Date.parse('2026-05-01T12:00:00Z');
const registrations = ['a', 'b', 'c', 'd'].map((id) =>
  buildRegistration({
    id,
    version: id < 'c' ? 'v1' : 'v2',
    weight: id === 'd' ? 50 : 100,
    leaving: id === 'c',
  }),
);
const view = buildView(registrations);
const members = new Map(
  registrations.map((registration): [string, Member] => [
    registration.id,
    { registration, presence: 'present', since: 0, vanished_at: null },
  ]),
);
const intent = (more: Partial<InstanceIntent>): InstanceIntent => ({
  by: 'ann',
  reason: '',
  at: '2026-05-01T11:00:00Z',
  ...more,
});

function published(record: IntentRecord): ReadonlyMap<string, PublishedDocument> {
  const { set } = compileService('shop', members, record, WALL);
  const table = buildRoutes((record.spec.routes ?? []).map((route) => ({ ...route, service: 'shop' })));
  const out = [set, table].map((document) => {
    return { ...buildEncoded(document), epoch: 7, generation: 1, at: '2026-05-01T11:00:00Z' };
  });
  return new Map(out.map((one) => [one.service, one]));
}

test.each<[string, Partial<IntentRecord>]>([
  ['routes', { spec: { routes: [{ host: '*', path: '/' }] } }],
  ['timeouts and retries', { spec: { timeouts: { read_ms: 1_000 }, retry: { tries: 3 } } }],
  ['states', { instances: { a: intent({ state: 'isolated' }), b: intent({ state: 'draining' }) } }],
  ['a cut', { instances: { a: intent({ state: 'cut' }) } }],
  ['a backup', { instances: { a: intent({ backup: true }), b: intent({ weight: 7, backup: true }) } }],
  ['weights', { instances: { a: intent({ weight: 7 }), b: intent({ weight: 0 }) } }],
])('%s: what is recalled would publish the same bytes', (_name, record) => {
  const before = published({ ...NO_INTENT, ...record });
  const recalled = recallRecords(before, view, WALL).get('shop');
  expect(published(recalled!)).toEqual(before);
});

test('shares come back as weights in the same proportion', () => {
  const before = published({ ...NO_INTENT, versions: { v1: 95, v2: 5 } });
  const recalled = recallRecords(before, view, WALL).get('shop');
  expect(recalled?.instances).toMatchObject({
    a: { weight: 10_000 },
    b: { weight: 10_000 },
    d: { weight: 1_053 },
  });
  expect(recalled?.instances['c']).toBeUndefined(); // it is leaving by its own word
});

test('the drain of an instance that is not registered now is recalled for an hour: it may have been leaving by itself', () => {
  const before = published({ ...NO_INTENT, instances: { b: intent({ state: 'draining' }) } });
  const later = buildView(registrations.filter(({ id }) => id !== 'b' && id !== 'c'));
  const recalled = recallRecords(before, later, WALL).get('shop')?.instances;
  const expires = '2026-05-01T13:00:00.000Z';
  expect(recalled).toMatchObject({ b: { state: 'draining', expires }, c: { state: 'draining', expires } });
  const there = recallRecords(before, view, WALL).get('shop')?.instances;
  expect(there).toMatchObject({ b: { state: 'draining' } });
  expect(there?.['b']?.expires).toBeUndefined();
});

test('where there is no intent, nothing is recalled', () => {
  expect(recallRecords(published(NO_INTENT), view, WALL)).toEqual(new Map());
});
