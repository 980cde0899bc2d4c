import { expect, it } from 'vitest';
import { ebbgate, served, useApi } from '../testing/cli_rig.js';

useApi();

it('makes a token: the secret alone is on standard output, once; what is kept does not contain it', async () => {
  const made = await ebbgate('token create ci --role releaser --services shop-* --expires 30d --reason CI');
  expect(made.code).toBe(0);
  expect(made.out).toMatch(/^ebb_[0-9a-f]{16}_[0-9a-f]{64}\n$/);
  expect(made.err).toMatch(/^token ci: releaser of shop-\* until 2026-05-31T12:00:00.000Z\n$/);
  const [, id = '', secret = ''] = made.out.trim().split('_');
  const record = served.plane.tokens.records.get('ci');
  expect(record).toMatchObject({ id, role: 'releaser', scope: 'shop-*', reason: 'CI' });
  expect(JSON.stringify(record)).not.toContain(secret);
  const listed = await ebbgate('token list');
  expect(listed.out).toMatch(/^TOKEN +ROLE +FOR +PROOF +UNTIL\nci +releaser +shop-\* +secret +2026-05-31/);
  expect(listed.out).not.toContain(secret);
  const again = await ebbgate('token create ci --role viewer');
  expect([again.code, again.out]).toEqual([6, '']);
});

it('by it the API says who one is; revoked, it is refused, also where no token is needed', async () => {
  const { out } = await ebbgate('token create wall --role viewer --services shop');
  const env = { EBBGATE_TOKEN: out.trim(), EBBGATE_ACTOR: 'screen/1' };
  const who = await ebbgate('whoami', { env });
  expect(who.out.split('\n').map((line) => line.replace(/: +/, ': '))).toEqual([
    ...['Name: wall', 'Role: viewer', 'Services: shop', 'Proof: token', 'Until: revoked'],
    ...['Recorded as: wall for screen/1', ''],
  ]);
  const drained = await ebbgate('drain -s shop a', { env });
  expect(drained).toMatchObject({ code: 1, err: expect.stringContaining('Your role is viewer') as string });
  expect((await ebbgate('token revoke wall --reason stolen')).code).toBe(0);
  expect(await ebbgate('whoami', { env })).toMatchObject({
    ...{ code: 1, err: expect.stringContaining('it is wrong, or was revoked') as string },
  });
  expect(await ebbgate('token revoke wall')).toMatchObject({
    code: 1,
    err: expect.stringContaining('token list') as string,
  });
});

it('of a gateway and of a certificate', async () => {
  const gateway = await ebbgate('token create edge --role gateway --gateways gw-*');
  expect(gateway.err).toBe('token edge: gateway of gw-*\n');
  const certificate = await ebbgate('token create ops --role operator --certificate ops.example.org -o json');
  expect(JSON.parse(certificate.out)).toMatchObject({ name: 'ops', secret: null });
  expect(served.plane.tokens.records.get('ops')).toMatchObject({
    verifier: null,
    certificate: 'ops.example.org',
  });
  const dry = await ebbgate('token create x --role viewer --dry-run');
  expect([dry.code, dry.out, dry.err]).toEqual([0, '', 'would make token x: viewer of *\n']);
  expect(served.plane.tokens.records.has('x')).toBe(false);
});

it.each([
  ['token create static --role viewer', 'body.name must not be one of'],
  ['token create controller --role viewer', 'body.name must not be one of'],
  ['token create a/b --role viewer', 'it contains "/"'],
  ['token create x --role root', 'body.role'],
  ['token create x --role viewer --services a,b', 'body.scope'],
])('%s is refused', async (line, why) => {
  const { code, err } = await ebbgate(line);
  expect([code, err]).toEqual([2, expect.stringContaining(why)]);
});
