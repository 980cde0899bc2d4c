import { expect, test } from 'vitest';
import type { RosterEntry } from '../model/gateway.js';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import { buildRegistration, buildView } from '../testing/builders.js';
import {
  changesOfAcceptance,
  missingGateways,
  missingHistories,
  missingReleases,
  recordsOfAcceptance,
  rosterBefore,
  type LossFacts,
} from './acceptance.js';
import { buildRelease } from '../testing/releases.js';
import type { Member } from './membership.js';

const member = (id: string, presence: Member['presence'] = 'present'): [string, Member] => [
  id,
  { registration: buildRegistration({ id }), presence, since: 0, vanished_at: null },
];
const KNOWN: IntentRecord = {
  ...NO_INTENT,
  rev: 4,
  spec: { routes: [{ host: '*', path: '/' }], min_available: 2 },
  instances: { a: { state: 'isolated', by: 'ann', reason: 'it lies', at: '2026-05-01T11:00:00Z' } },
  versions: { v1: 100 },
  ops: [
    {
      id: 'op-1',
      kind: 'drain',
      instances: ['b'],
      by: 'ann',
      reason: '',
      at: '2026-05-01T11:00:00Z',
      on_timeout: 'wait',
    },
  ],
};
const entry = (id: string) => ({ id, boot: 'b', host: 'h', since: '2026-05-01T11:00:00Z' });

function facts(more: Partial<LossFacts> = {}): LossFacts {
  return {
    membership: new Map([['shop', new Map([member('a'), member('b', 'missing'), member('c', 'gone')])]]),
    view: buildView([buildRegistration({ id: 'a' })]),
    known: new Map([['shop', KNOWN]]),
    found: new Map(),
    roster: { known: new Map([['g-1', entry('g-1')]]), found: new Map() },
    releases: { known: [], found: new Set() },
    keep: false,
    wall: Date.parse('2026-05-01T12:00:00Z'),
    ...more,
  };
}
const lines = (of: LossFacts): readonly string[] =>
  changesOfAcceptance(of).map(
    ({ instance, field, from, to }) => `${instance ?? '-'} ${field}: ${from} → ${to}`,
  );
const WHO = { by: 'ann', reason: 'disk died' };

test('it says what goes: registrations, intents, running operations; and that gateways come back into the roster', () => {
  expect(lines(facts())).toEqual([
    'b registration: known → none',
    'a state: isolated → up',
    'a traffic: 0 % → 50 %',
    'a down: true → false',
    'b traffic: 100 % → 50 %',
    '- versions: v1=100 → none',
    '- routes: [{"host":"*","path":"/"}] → []',
    '- min_available: 2 → 1',
    '- operation op-1: running → none',
    '- gateway g-1: lost → in the roster',
  ]);
});

test('with the intents kept only registrations go, and the record lives on with the acceptance in its history', () => {
  const kept = facts({ keep: true, found: new Map([['shop', NO_INTENT]]) });
  expect(lines(kept)).toEqual(['b registration: known → none', '- gateway g-1: lost → in the roster']);
  const record = recordsOfAcceptance(kept, WHO).get('shop');
  expect(record).toMatchObject({ rev: 5, spec: KNOWN.spec, instances: KNOWN.instances, ops: KNOWN.ops });
  expect(record?.events).toMatchObject([
    {
      event: 'data_loss_accepted',
      by: 'ann',
      message: expect.stringMatching(/disk died.*no intent is lost/) as string,
    },
  ]);
});

test('a gateway that an older copy shows as gone must be heard again, and one that has gone since is not waited for', () => {
  const gone = { at: '2026-05-01T11:30:00Z', how: 'left' } as const;
  const known = new Map<string, RosterEntry>([
    ['back', entry('back')],
    ['same', entry('same')],
    ['went', { ...entry('went'), gone }],
    ['went-long-ago', { ...entry('went-long-ago'), gone }],
  ]);
  const found = new Map<string, RosterEntry>([
    ['back', { ...entry('back'), gone }],
    ['same', entry('same')],
    ['went', entry('went')],
    ['unknown', entry('unknown')],
  ]);
  const older = facts({ keep: true, roster: { known, found } });
  expect(missingGateways(older).map(({ id, gone: how }) => [id, how?.how ?? 'serves'])).toEqual([
    ['back', 'serves'],
    ['went', 'left'],
    ['went-long-ago', 'left'],
  ]);
  expect(lines(older).slice(1)).toEqual([
    '- gateway back: out of the roster → in the roster',
    '- gateway went: in the roster → out of the roster',
  ]);
});

test('who began after a loss has seen no roster: every name that Redis lists counts, and an entry says more than a name', () => {
  const wall = Date.parse('2026-05-01T12:00:00Z');
  const entries = new Map([['g-1', entry('g-1')]]);
  const listed = ['g-1', 'g-2'];
  expect(rosterBefore(entries, listed, { began: 'before', wall })).toBe(entries);
  expect([...rosterBefore(entries, listed, { began: 'after', wall }).values()]).toEqual([
    entry('g-1'),
    { id: 'g-2', boot: '', host: '', since: '2026-05-01T12:00:00.000Z' },
  ]);
});

test('histories are written back where ZooKeeper contains fewer of them', () => {
  const events = ['10', '11'].map((hour) => {
    return { at: `2026-05-01T${hour}:00:00Z`, event: 'isolated' as const, by: 'ann', message: 'it lies' };
  });
  const known = new Map([
    ['lost', events],
    ['older', events],
    ['same', events],
    ['empty', []],
  ]);
  const found = new Map([
    ['older', { events: events.slice(0, 1) }],
    ['same', { events: structuredClone(events) }],
  ]);
  expect([...missingHistories(known, found).keys()]).toEqual(['lost', 'older']);
});

test('what ZooKeeper contains counts, and a service of which all is lost keeps the history of it', () => {
  const found: IntentRecord = { ...KNOWN, rev: 2, instances: {}, ops: [] };
  expect(recordsOfAcceptance(facts({ found: new Map([['shop', found]]) }), WHO).get('shop')).toMatchObject({
    rev: 3,
    instances: {},
    spec: KNOWN.spec,
  });
  const empty = recordsOfAcceptance(facts(), WHO).get('shop');
  expect(empty).toMatchObject({ rev: 1, spec: {}, instances: {}, ops: [] });
  expect(empty?.events[0]?.message).toMatch(/changed by it: a state isolated → up; .*routes/);
});

test('a release that ran is lost, or written back with the intents', () => {
  const known = [buildRelease({ id: 'rel-9', service: 'shop' })];
  const given = facts({ releases: { known, found: new Set() }, keep: false });
  expect(lines(given)).toContainEqual(expect.stringContaining('release rel-9'));
  const kept = facts({ releases: { known, found: new Set() }, keep: true });
  expect(lines(kept)).not.toContainEqual(expect.stringContaining('release'));
  expect(missingReleases(kept)).toEqual(known);
  expect(missingReleases(facts({ releases: { known, found: new Set(['shop']) } }))).toEqual([]);
});

test('the freeze of everything is lost unless intents are kept, and shown', () => {
  const known = { by: 'ann', reason: 'payday', at: '2026-05-01T11:00:00Z' };
  const shown = (keep: boolean, found: boolean): readonly string[] =>
    lines(facts({ keep, freeze: { known, found } })).filter((line) => line.includes(' freeze:'));
  expect(shown(false, false)).toEqual(['- freeze: frozen by ann: payday → none']);
  expect([...shown(true, false), ...shown(false, true)]).toEqual([]);
});
