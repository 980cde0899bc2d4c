import { expect, it } from 'vitest';
import { buildEntry } from '../testing/builders.js';
import { ebbgate, mutation, served, useApi } from '../testing/cli_rig.js';

useApi();

const CHANGE = { service: 'shop', instance: 'a', field: 'state', from: 'up', to: 'draining' };
const record = (n: number, fields = {}) => ({
  n,
  ...buildEntry({ changes: [CHANGE, { ...CHANGE, instance: 'b' }], reason: 'kernel', ...fields }),
});

it('shows the records as a table, newest first', async () => {
  served.plane.auditList = [record(2, { by: 'bob', verb: 'undrain', changes: [] }), record(1)];
  const { code, out } = await ebbgate('audit --since 2h --by ann --verb drain -s shop --limit 9');
  expect(code).toBe(0);
  expect(served.plane.asked).toMatchObject([{ actor: 'ann', verb: 'drain', service: 'shop', limit: 9 }]);
  expect(served.plane.asked[0]?.since).toBeTypeOf('number');
  expect(out).toBe('no records\n');
  const all = (await ebbgate('audit -o wide')).out.split('\n');
  expect(all[0]).toMatch(
    /^RECORD +AT +BY +VERB +OBJECT +CHANGED +REASON +UNTIL +FORCE +TOKEN +FROM +REQUEST/,
  );
  expect(all[1]).toMatch(/^2 .* bob +undrain +shop\/a +- +kernel/);
  expect(all[2]).toMatch(/^1 .* ann +drain .*shop\/a {2}state: up → draining \(and 1 more\) +kernel/);
});

it('asks for page after page until it has what was asked for', async () => {
  served.plane.auditList = Array.from({ length: 700 }, (_, at) => record(700 - at));
  const { out } = await ebbgate('audit --limit 600 -o json');
  const { items, next } = JSON.parse(out);
  expect([items.length, items[599].n, next]).toEqual([600, 101, 101]);
  expect(served.plane.asked.map(({ limit, before }) => [limit, before])).toEqual([
    [500, null],
    [100, 201],
  ]);
  expect((await ebbgate('audit --limit 600')).out).toContain('there are older ones');
});

it('shows one record whole, and how it is undone', async () => {
  const undo = { kind: 'services', services: [] } as const;
  served.plane.auditList = [record(7, { undo, from: '10.0.0.9 via 10.0.0.1' }), record(6)];
  const { out } = await ebbgate('audit 7');
  expect(out).toMatch(/^record 7\n {2}verb: drain\n {2}object: shop\/a\n/);
  expect(out).toContain('  from: 10.0.0.9 via 10.0.0.1\n');
  expect(out).toContain('  shop/b  state: up → draining\n');
  expect(out).toContain('next: ebbgate undo-last 7 --dry-run\n');
  expect((await ebbgate('audit 6')).out).toContain('cannot be undone: it is a test\n');
  expect(await ebbgate('audit 5')).toMatchObject({ code: 1, err: expect.stringContaining('no record 5') });
});

it.each(['audit --limit 0', 'audit --limit x', 'audit --since'])('%s is a usage error', async (words) => {
  expect((await ebbgate(words)).code).toBe(2);
});

it.each([
  ['undo-last --dry-run', null],
  ['undo-last 12 --force --reason wrong', 12],
])('%s', async (words, n) => {
  expect((await ebbgate(words)).code).toBe(0);
  expect(mutation().mutation).toEqual({ kind: 'undo', record: n });
});

it('get intents --expiring shows what ends by itself', async () => {
  const intent = { service: 'shop', instance: 'a', kind: 'isolated', value: 'isolated', by: 'ann' } as const;
  const since = '2026-05-01T11:00:00Z';
  served.plane.intentList = [
    { ...intent, reason: 'leak', since, until: null },
    { ...intent, instance: 'b', reason: 'test', since, until: '2026-05-01T13:00:00Z' },
  ];
  const { out } = await ebbgate('get intents --expiring');
  expect(out.trim().split('\n')).toHaveLength(2);
  expect(out).toMatch(/shop +b +isolated +isolated +ann .*2026-05-01T13:00:00Z +test/);
});
