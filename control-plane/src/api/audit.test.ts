import { expect, it } from 'vitest';
import { client, behind, expectProblem, usePlane } from '../testing/api_rig.js';
import { buildEntry } from '../testing/builders.js';

usePlane();

const record = (n: number, fields = {}) => ({
  n,
  ...buildEntry({ request_id: `r-${String(n)}`, ...fields }),
});

it('lists the records, newest first and without what takes them back', async () => {
  const undo = { kind: 'services', services: [] } as const;
  behind.plane.auditList = [record(2, { undo }), record(1)];
  const answer = await client().get('/v1/audit');
  expect(answer.status).toBe(200);
  expect(answer.body.next).toBeNull();
  expect(answer.body.items).toMatchObject([
    { n: 2, by: 'ann', verb: 'drain', object: 'shop/a', not_undoable: null },
    { n: 1, request_id: 'r-1', not_undoable: 'it is a test' },
  ]);
  expect(answer.body.items[0]).not.toHaveProperty('undo');
  expect((await client().get('/v1/audit/2')).body).toEqual(answer.body.items[0]);
  expectProblem(await client().get('/v1/audit/3'), 'not_found', { detail: /no record 3/ });
});

it('asks for what the query says; since is a moment, or how long ago', async () => {
  const began = Date.now();
  await client().get('/v1/audit?service=shop&actor=ann@example.org&verb=drain&since=2h&before=9&limit=7');
  await client().get('/v1/audit?since=2026-05-01T12:00:00Z');
  const [first, second] = behind.plane.asked;
  expect(first).toMatchObject({
    service: 'shop',
    actor: 'ann@example.org',
    verb: 'drain',
    before: 9,
    limit: 7,
  });
  expect(first?.since).toBeGreaterThanOrEqual(began - 7_200_000);
  expect(first?.since).toBeLessThan(Date.now() - 7_100_000);
  expect(second).toEqual({
    ...{ service: null, actor: null, verb: null, before: null, limit: 50 },
    since: Date.parse('2026-05-01T12:00:00Z'),
  });
});

it('a page says where the next one begins', async () => {
  behind.plane.auditList = [3, 2, 1].map((n) => record(n));
  const first = await client().get('/v1/audit?limit=2');
  expect(first.body).toMatchObject({ items: [{ n: 3 }, { n: 2 }], next: 2 });
  expect((await client().get('/v1/audit?limit=2&before=2')).body).toMatchObject({
    items: [{ n: 1 }],
    next: null,
  });
});

it.each([
  ['since=yesterday', 'since'],
  ['verb=Drain!', 'verb'],
  ['limit=0', 'limit'],
  ['limit=501', 'limit'],
  ['before=0', 'before'],
  ['actor=%0a', 'actor'],
  ['who=ann', 'who'],
])('refuses ?%s by name', async (query, field) => {
  expectProblem(await client().get(`/v1/audit?${query}`), 'invalid_request', { field: `query.${field}` });
});

it('undoes a record, or the last one of who asks', async () => {
  for (const which of ['12', 'last'])
    await client()
      .post(`/v1/audit/${which}/undo?dry_run=true`)
      .set('X-Ebbgate-Actor', 'ann')
      .send({ reason: 'wrong host', force: true });
  expect(behind.plane.mutated).toMatchObject([
    {
      mutation: { kind: 'undo', record: 12 },
      context: { by: 'ann', reason: 'wrong host', force: true, dry_run: true },
    },
    { mutation: { kind: 'undo', record: null } },
  ]);
  expectProblem(await client().post('/v1/audit/first/undo').send({}), 'invalid_request', {
    field: 'path.record',
  });
});

it('lists what ends by itself, the next one first', async () => {
  const intent = (service: string, until: string | null) => ({
    ...({ service, instance: 'a', kind: 'isolated', value: 'isolated', by: 'ann', reason: 'leak' } as const),
    ...{ since: '2026-05-01T11:00:00Z', until },
  });
  behind.plane.intentList = [
    intent('late', '2026-05-01T15:00:00.000Z'),
    intent('never', null),
    intent('soon', '2026-05-01T13:00:00.000Z'),
  ];
  const names = async (query: string): Promise<unknown> =>
    (await client().get(`/v1/intents${query}`)).body.items.map(({ service }: { service: string }) => service);
  expect(await names('?expiring=true')).toEqual(['soon', 'late']);
  expect(await names('')).toEqual(['late', 'never', 'soon']);
});
