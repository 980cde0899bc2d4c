import { expect, test } from 'vitest';
import { createHash } from 'node:crypto';
import { behind, client, usePlane } from '../testing/api_rig.js';
import { createRecordingLog } from '../testing/log.js';

usePlane();

function opened() {
  const log = createRecordingLog();
  return { agent: client(null, undefined, log), plane: behind.plane, log };
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

test('a key is shown once, and kept and logged as nothing that proves it', async () => {
  const { agent, plane, log } = opened();
  expect((await agent.post('/v1/consumers').send({ name: 'acme', services: ['shop-*'] })).status).toBe(200);
  const added = await agent.post('/v1/consumers/acme/keys').send({ expires: '30d', reason: 'first' });
  expect([added.status, added.body]).toEqual([
    201,
    expect.objectContaining({ consumer: 'acme', dry_run: false, published: true }),
  ]);
  const { key, id } = added.body as { readonly key: string; readonly id: string };
  expect(key).toMatch(/^ebk_[A-Za-z0-9_-]{43}$/);
  expect(plane.consumers.records.get('acme')?.keys).toMatchObject([{ id, hash: hashOf(key) }]);
  const read = await agent.get('/v1/consumers/acme');
  expect(read.body).toMatchObject({ name: 'acme', services: ['shop-*'], keys: [{ id, reason: 'first' }] });
  const said = JSON.stringify([read.body, (await agent.get('/v1/consumers')).body, log.lines]);
  expect(said).not.toContain(key);
  expect(said).not.toContain(hashOf(key));
  expect(said).toContain(id);
});

test('a key that is brought along is taken as it is, if nobody can guess it, and is not shown', async () => {
  const { agent, plane, log } = opened();
  await agent.post('/v1/consumers').send({ name: 'acme' });
  const brought = 'from-another-gateway-1=';
  const added = await agent.post('/v1/consumers/acme/keys').send({ key: brought });
  expect([added.status, added.body]).toEqual([201, expect.objectContaining({ key: null })]);
  expect(plane.consumers.records.get('acme')?.keys).toMatchObject([{ hash: hashOf(brought) }]);
  expect(JSON.stringify(log.lines)).not.toContain(brought);
  for (const key of [
    'nineteen-characters',
    'with a space in between',
    'with,comma-in-between',
    'a'.repeat(257),
    'x=y-not-at-the-end-of',
  ]) {
    const answer = await agent.post('/v1/consumers/acme/keys').send({ key });
    expect([answer.status, answer.body]).toEqual([400, expect.objectContaining({ field: 'body.key' })]);
    expect(JSON.stringify(answer.body)).not.toContain(key);
  }
});

test('a request that comes again under its Idempotency-Key gives no second key: the first was shown once', async () => {
  const { agent, plane } = opened();
  await agent.post('/v1/consumers').send({ name: 'acme' });
  const add = async () => agent.post('/v1/consumers/acme/keys').set('Idempotency-Key', 'k-1').send({});
  expect((await add()).status).toBe(201);
  const again = await add();
  expect([again.status, again.body]).toEqual([
    409,
    expect.objectContaining({ code: 'idempotency_conflict' }),
  ]);
  expect(plane.consumers.records.get('acme')?.keys).toHaveLength(1);
});

test('the list comes in pages', async () => {
  const { agent } = opened();
  for (const name of ['c', 'a', 'b']) await agent.post('/v1/consumers').send({ name });
  const page = async (query: string) => (await agent.get(`/v1/consumers${query}`)).body as unknown;
  expect(await page('?limit=2')).toMatchObject({ items: [{ name: 'a' }, { name: 'b' }], next: 'b' });
  expect(await page('?limit=2&after=b')).toMatchObject({ items: [{ name: 'c' }], next: null });
});

test.each([
  ['/v1/consumers', { name: 'a b' }, 'body.name'],
  ['/v1/consumers', { name: 'a', services: [] }, 'body.services'],
  ['/v1/consumers', { name: 'a', services: ['a b'] }, 'body.services'],
  ['/v1/consumers', { name: 'a', networks: ['10.0.0.0/33'] }, 'body.networks'],
  ['/v1/consumers/acme/keys', { expires: '1ms' }, 'body.expires'],
])('%s %j is refused, and the field is named', async (path, body, field) => {
  const { agent } = opened();
  const answer = await agent.post(path).send(body);
  expect(answer.status).toBe(400);
  expect((answer.body as { readonly field: string }).field).toContain(field);
});
