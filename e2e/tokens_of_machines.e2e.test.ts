import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { productRoot } from '../control-plane/src/testkit.js';
import { EBBGATE, runProgram, type Run } from './harness/cli.js';
import { ControlledPlatform } from './harness/controlled_platform.js';

/*
 * Gateways and instances with the tokens that make-tokens.sh makes, as docker-compose.yml calls it: they are enough for what those do, and for
 * nothing else. The control API takes nobody without a token here.
 */

const ADMIN = 'the-token-that-may-do-everything';
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-machines-'));
let platform: ControlledPlatform;

beforeAll(async () => {
  mkdirSync(join(dir, 'bin'));
  writeFileSync(
    join(dir, 'bin/ebbgate'),
    `#!/bin/sh\nexec ${EBBGATE.map((word) => `'${word}'`).join(' ')} "$@"\n`,
  );
  chmodSync(join(dir, 'bin/ebbgate'), 0o755);
  writeFileSync(join(dir, 'admin'), ADMIN);
  platform = await ControlledPlatform.start({ token: ADMIN });
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

const fileOf = (role: string): string => join(dir, role, 'token');
const secretOf = (role: string): string => readFileSync(fileOf(role), 'utf8').trim();

function makeTokens(...words: readonly string[]): Promise<Run> {
  return runProgram(
    '/bin/sh',
    [join(productRoot(), 'control-plane/container/make-tokens.sh'), dir, ...words],
    {
      PATH: `${join(dir, 'bin')}${delimiter}${process.env.PATH ?? ''}`,
      EBBGATE_API: platform.env.EBBGATE_API,
      EBBGATE_TOKEN_FILE: join(dir, 'admin'),
      EBBGATE_TOKENS_WAIT: '2',
    },
  );
}
const WANTED = ['gateway=gateway-*', 'registrar=shop'];

/** The status of a request with the token of that role. */
async function as(role: string, method: 'GET' | 'POST', path: string): Promise<number> {
  const body = method === 'GET' ? undefined : {};
  return (await platform.call(method, path, body, { authorization: `Bearer ${secretOf(role)}` })).status;
}
const names = async (): Promise<readonly string[]> => {
  const { body } = await platform.call<{ readonly items: readonly { readonly name: string }[] }>(
    'GET',
    '/v1/tokens',
  );
  return body.items.map(({ name }) => name);
};

test('an instance registers, is accepted, drains and leaves; a gateway leaves and joins; neither may do anything else', async () => {
  expect((await makeTokens(...WANTED)).stderr).toMatch(
    /token container-gateway-.*gateway of gateway-\*\n.*registrar of shop\n/s,
  );
  const env = { EBBGATE_TOKEN: '', EBBGATE_TOKEN_FILE: fileOf('registrar') };
  const one = await platform.register({ env });
  await platform.register({ env });
  await platform.route();
  await using traffic = platform.traffic();
  expect(await one.leave()).toBe(0);
  expect(await traffic.stop()).toEqual([]);
  const said = readFileSync(join(platform.dir, `shop-${String(one.port)}.log`), 'utf8');
  expect(said).toContain('accepted');
  expect(said).toMatch(/drained/);

  const [, second] = platform.gateways;
  const leave = (...words: readonly string[]): Promise<Run> =>
    runProgram(
      '/bin/sh',
      [join(productRoot(), 'nginx/leave.sh'), ...words, join(second!.place.dir, 'nginx.conf')],
      {
        ...{
          EBBGATE_API: platform.env.EBBGATE_API,
          EBBGATE_TOKEN_FILE: fileOf('gateway'),
          EBBGATE_JOIN_AFTER: '0',
        },
      },
    );
  await second!.stop();
  expect(await leave()).toMatchObject({ code: 0, stderr: 'ebbgate-leave: gateway gateway-2 has left\n' });
  expect((await platform.fleet()).map(({ id }) => id)).toEqual(['gateway-1']);
  expect(await leave('--join')).toMatchObject({ code: 0 });
  await second!.start();

  expect(await as('gateway', 'POST', '/v1/gateways/edge-1/leave')).toBe(403);
  for (const role of ['gateway', 'registrar'])
    for (const [method, path] of [
      ['POST', `/v1/services/shop/instances/${one.id}/drain`],
      ['GET', '/v1/services'],
      ['GET', '/v1/gateways'],
      ['GET', '/v1/tokens'],
      ['POST', role === 'gateway' ? '/v1/freeze' : '/v1/gateways/gateway-2/leave'],
    ] as const)
      expect([role, method, path, await as(role, method, path)]).toEqual([role, method, path, 403]);
});

test('made again nothing changes; what was revoked or is for something else is made anew', async () => {
  const [gateway, registrar, before] = [secretOf('gateway'), secretOf('registrar'), await names()];
  expect(await makeTokens(...WANTED)).toEqual({ code: 0, stdout: '', stderr: '' });
  expect([secretOf('gateway'), secretOf('registrar'), await names()]).toEqual([gateway, registrar, before]);

  const name = readFileSync(join(dir, 'gateway/name'), 'utf8').trim();
  expect((await platform.cli('token', 'revoke', name)).code).toBe(0);
  expect((await makeTokens('gateway=gateway-*', 'registrar=shop-*')).code).toBe(0);
  expect([gateway, registrar]).not.toContain(secretOf('gateway'));
  expect([gateway, registrar]).not.toContain(secretOf('registrar'));
  expect(await as('registrar', 'GET', '/v1/whoami')).toBe(200);
  expect((await names()).filter((one) => before.includes(one))).toEqual([]);
});

test('`new` puts another one of each in place, and revokes the one before', async () => {
  const last = secretOf('gateway');
  expect((await makeTokens(...WANTED, 'new')).code).toBe(0);
  expect(secretOf('gateway')).not.toBe(last);
  expect(await names()).toHaveLength(2);
});

test('while no controller answers it keeps what is there, and fails where there is nothing', async () => {
  const before = secretOf('gateway');
  await platform.controller.stop();
  try {
    expect(await makeTokens(...WANTED)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('kept as they are'),
    });
    expect(secretOf('gateway')).toBe(before);
    expect(await makeTokens(...WANTED, 'viewer=shop')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('unavailable'),
    });
    expect(await makeTokens(...WANTED, 'new')).toMatchObject({ code: 1 });
  } finally {
    await platform.controller.start();
    await platform.ready();
  }
});

test.each([
  [[], 'ROLE=PATTERN'],
  [['make'], 'ROLE=PATTERN'],
  [['gateway='], 'must be ROLE=PATTERN'],
  [['gateway=a b'], 'must be ROLE=PATTERN'],
  [['..=shop'], 'must be ROLE=PATTERN'],
  [[...WANTED, 'rotate'], 'VERB must be'],
])('refuses the words %j', async (words, why) => {
  expect(await makeTokens(...words)).toMatchObject({ code: 2, stderr: expect.stringContaining(why) });
});
