import { expect, it } from 'vitest';
import { behind, client, expectProblem, usePlane } from '../testing/api_rig.js';
import { makeService } from '../testing/resources.js';
import { protection } from './schema/readiness.js';

usePlane();

const HOLD = '/v1/services/shop/hold';
const ACCEPT = '/v1/services/shop/accept';

it('hands both words to the plane, with reason and end', async () => {
  await client().post(HOLD).send({ reason: 'they answer', expires: '30m' }).expect(200);
  await client().post(`${ACCEPT}?dry_run=true`).send({ reason: 'switched off' }).expect(200);
  expect(behind.plane.mutated).toMatchObject([
    {
      mutation: { kind: 'hold', service: 'shop' },
      context: { reason: 'they answer', expires_ms: 1_800_000, dry_run: false },
    },
    { mutation: { kind: 'accept', service: 'shop' }, context: { reason: 'switched off', dry_run: true } },
  ]);
});

it.each([
  [HOLD, { reason: 'they answer' }, 'body.expires'],
  [HOLD, { expires: '30m' }, 'body.reason'],
  [HOLD, { reason: 'x', expires: null }, 'body.expires'],
  [HOLD, { reason: 'x', expires: '30m', instances: ['a'] }, 'body.instances'],
  [ACCEPT, {}, 'body.reason'],
  [ACCEPT, { reason: 'x', expires: '30m' }, 'body.expires'],
])('%s %j is refused by the name of the field', async (path, body, field) => {
  const response = await client().post(path).send(body);
  expectProblem(response, 'invalid_request', { detail: new RegExp(field.replace('.', '\\.')) });
  expect(behind.plane.mutated).toEqual([]);
});

it('the page of protection lists every hold, also one that keeps nobody yet', async () => {
  const hold = {
    kind: 'person' as const,
    ...{ instances: [], since: '2026-05-01T12:00:00Z', until: '2026-05-01T12:30:00Z' },
    ...{ by: 'ann', reason: 'work', message: 'held by ann' },
  };
  behind.plane.serviceMap.set('shop', makeService({ service: 'shop', holds: [hold] }));
  const { body } = (await client().get('/v1/protection').expect(200)) as { body: unknown };
  expect(protection.parse(body)).toEqual(body);
  expect(body).toMatchObject({ services: [{ service: 'shop', protection: null, holds: [hold] }] });
});
