import { expect, it } from 'vitest';
import { behind, client, expectProblem, usePlane } from '../testing/api_rig.js';

usePlane();

const BREAKER = '/v1/services/shop/breaker';

it('hands the word to the plane, with reason and end', async () => {
  await client().post(BREAKER).send({ state: 'open', reason: 'it moves', expires: '30m' }).expect(200);
  await client().post(`${BREAKER}?dry_run=true`).send({ state: 'auto' }).expect(200);
  expect(behind.plane.mutated).toMatchObject([
    {
      mutation: { kind: 'breaker', service: 'shop', state: 'open' },
      context: { reason: 'it moves', expires_ms: 1_800_000, dry_run: false },
    },
    { mutation: { kind: 'breaker', service: 'shop', state: 'auto' }, context: { dry_run: true } },
  ]);
});

it.each([
  [{ reason: 'x' }, 'body.state'],
  [{ state: 'half', reason: 'x' }, 'body.state'],
  [{ state: 'open', reason: 'x', expires: 'soon' }, 'body.expires'],
  [{ state: 'open', reason: 'x', until: '1h' }, 'body.until'],
])('%j is refused by the name of the field', async (body, field) => {
  const response = await client().post(BREAKER).send(body);
  expectProblem(response, 'invalid_request', { detail: new RegExp(field.replace('.', '\\.')) });
  expect(behind.plane.mutated).toEqual([]);
});
