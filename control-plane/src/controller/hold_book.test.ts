import { expect, test } from 'vitest';
import { NO_INTENT, type IntentRecord } from '../model/intent.js';
import type { Hold } from '../plan/hold.js';
import type { Member, Presence } from '../plan/membership.js';
import { buildRegistration } from '../testing/builders.js';
import { createRecordingLog } from '../testing/log.js';
import { HoldBook, type HoldFacts } from './hold_book.js';

const WALL = Date.parse('2026-05-01T12:00:00Z');
const iso = (ms: number): string => new Date(WALL + ms).toISOString();

function bookAt() {
  const log = createRecordingLog();
  const book = new HoldBook(log);
  const take = (now: number, holds: readonly Hold[], more: Partial<HoldFacts> = {}): void => {
    book.take({
      holds: new Map(holds.length > 0 ? [['shop', holds]] : []),
      ...{ intents: new Map(), membership: new Map(), loss: null },
      ...{ now, wall: WALL + now, due: WALL + now },
      ...more,
    });
  };
  const shop = () => book.standing.get('shop') ?? [];
  return { book, log, take, shop, said: () => log.lines.map(({ message }) => message) };
}
const members = (presences: Readonly<Record<string, Presence>>): HoldFacts['membership'] =>
  new Map([
    [
      'shop',
      new Map(
        Object.entries(presences).map(([id, presence]): [string, Member] => [
          id,
          { registration: buildRegistration({ id }), presence, since: 0, vanished_at: 0 },
        ]),
      ),
    ],
  ]);
const intents = (words: Partial<IntentRecord>): HoldFacts['intents'] =>
  new Map([['shop', { service: 'shop', record: { ...NO_INTENT, ...words }, etag: '' }]]);

const SUSPECT: Hold = { kind: 'suspect', instances: ['a', 'b'], since: 1_000, until: 61_000 };

test('a hold has the moments of the wall clock, which the clocks’ last milliseconds do not move', () => {
  const { book, take, shop, said } = bookAt();
  take(3_000, [SUSPECT]);
  expect(shop()).toEqual([
    {
      ...{ kind: 'suspect', instances: ['a', 'b'], since: iso(1_000), until: iso(61_000) },
      ...{ by: null, reason: null },
    },
  ]);
  const { standing } = book;
  take(4_000, [{ ...SUSPECT }], { wall: WALL + 4_007 });
  expect(book.standing).toBe(standing);
  expect(said()).toHaveLength(1);
});

test('one line when it begins, one when its end moves, one when it is over, with what became of whom', () => {
  const { take, said } = bookAt();
  take(3_000, [SUSPECT]);
  take(9_000, [{ ...SUSPECT, instances: ['a', 'b', 'c'], until: 71_000 }]);
  take(10_000, [{ ...SUSPECT, instances: ['a', 'b', 'c'], until: 71_000 }]);
  take(20_000, [], { membership: members({ a: 'present', b: 'gone' }) });
  take(21_000, []);
  expect(said()).toEqual([
    `hold began: 2 instances (a and b) vanished together and stay in use as suspects until ${iso(61_000)}, then they are removed`,
    `hold extended: 3 instances (a, b and c) vanished together and stay in use as suspects until ${iso(71_000)}, then they are removed`,
    'hold ended: 1 registered again, 2 gone',
  ]);
});

test('a person’s hold is there before anything vanishes, has its own end, and ends with it', () => {
  const { take, shop, said } = bookAt();
  const held = intents({ hold: { by: 'ann', reason: 'work', at: iso(0), expires: iso(60_000) } });
  take(1_000, [], { intents: held });
  expect(shop()).toMatchObject([
    { kind: 'person', instances: [], by: 'ann', reason: 'work', since: iso(0), until: iso(60_000) },
  ]);
  take(2_000, [{ kind: 'person', instances: ['a'], since: 1_500, until: 60_003 }], { intents: held });
  expect(shop()).toMatchObject([{ kind: 'person', instances: ['a'], until: iso(60_000) }]);
  take(60_000, [], { intents: held, membership: members({ a: 'gone' }) });
  expect(shop()).toEqual([]);
  expect(said().map((line) => line.split(':')[0])).toEqual(['hold began', 'hold ended']);
});

test('who was accepted is said, and what is kept on by another hold', () => {
  const { take, said } = bookAt();
  const last: Hold = { kind: 'last', instances: ['a', 'b'], since: 0, until: Infinity };
  take(1_000, [last]);
  const accepted = { by: 'ann', reason: '', at: iso(0), instances: { a: '' } };
  take(2_000, [{ ...SUSPECT, instances: ['b'] }], {
    intents: intents({ accepted }),
    membership: members({ a: 'gone', b: 'suspect' }),
  });
  expect(said().at(-1)).toBe('hold ended: 1 gone, as ann says, 1 held on (suspect)');
});

test('a data loss is a hold of everything: one line when it begins, one when it is over', () => {
  const { take, log } = bookAt();
  take(0, [], { loss: 'ZooKeeper has lost data' });
  take(1, [], { loss: 'ZooKeeper has lost data (more)' });
  take(2, []);
  expect(log.lines.map(({ level, message }) => [level, message])).toEqual([
    ['warn', 'hold began: ZooKeeper has lost data'],
    ['info', 'hold ended'],
  ]);
});

test('a registry that loses everything does not fill the log', () => {
  const { book, log } = bookAt();
  const holds = new Map(Array.from({ length: 300 }, (_, n) => [`s${String(n)}`, [SUSPECT]]));
  const facts = { intents: new Map(), membership: new Map(), loss: null, now: 0, wall: WALL, due: WALL };
  book.take({ ...facts, holds });
  expect(log.lines).toHaveLength(101);
  expect(log.lines.at(-1)?.fields).toEqual({ more: 200 });
});
