import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../clock.js';
import { ROLE_NAMES, type Role } from '../model/role.js';
import { buildEntry } from '../testing/builders.js';
import { createRecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { makeRelease } from '../testing/memory_releases.js';
import { makeGateway, makeOperation } from '../testing/resources.js';
import { buildToken } from '../testing/tokens.js';
import { createApp } from './app.js';
import { endpoints } from './endpoints.js';
import { makeToken } from './auth/secret.js';
import type { Endpoint } from './endpoint.js';

/*
 * Every route, by every method, for whoever may ask. What is expected is worked out from the declarations that the page of roles
 * shows; what happens is asked of the whole application, by HTTP.
 */

/** Some thousand requests. */
const LONG_MS = 300_000;
const METHODS = ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE', 'OPTIONS'] as const;
const RANK: Readonly<Record<Role, number>> = {
  ...{ gateway: 0, registrar: 0 },
  ...{ viewer: 1, operator: 2, releaser: 3, admin: 4 },
};
const NAMES: Readonly<Record<string, string>> = {
  ...{
    service: 'shop',
    instance: 'a',
    operation: 'op-1',
    release: 'rel-1',
    gateway: 'gw-1',
    record: '1',
    token: 'spare',
  },
};

/** Who asks for what there is not. */
const STRANGERS = ['nobody', 'a revoked admin', 'the static token'];

/** Who asks: the header, and what its token is; null = nobody that is known. */
interface Caller {
  readonly name: string;
  readonly header: string | null;
  readonly token: { readonly role: Role; readonly scope: string } | null;
}

const all = endpoints({
  ...{ plane: new MemoryPlane(), clock: systemClock, version: '1', randomBytes },
  metrics: () => Promise.resolve(''),
}).flat();
const callers: Caller[] = [];
let plane: MemoryPlane;
let server: Server;
let base: string;

function fill(): void {
  plane.add('shop', ['a', 'b'], { host: '10.0.0.1' }).add('cart', ['a'], { host: '10.0.0.9' });
  plane.operationMap.clear();
  plane.controllerList = [
    { id: 'one', role: 'leader', address: null, version: '1', started_at: '2026-05-01T12:00:00Z' },
  ];
  plane.operationMap.set('op-1', makeOperation({ targets: [['shop', 'a']] }));
  plane.releases.map.set('rel-1', makeRelease());
  plane.auditList = [{ n: 1, ...buildEntry() }];
  plane.copyText = '{}';
  plane.gatewayList = [makeGateway({ id: 'gw-1' })];
}

function issue(name: string, parts: { role: Role; scope: string; expires?: string }): string {
  const { text, id, verifier } = makeToken(randomBytes);
  plane.tokens.records.set(name, buildToken({ name, id, verifier, ...parts }));
  return `Bearer ${text}`;
}

beforeAll(async () => {
  plane = new MemoryPlane();
  fill();
  const { tokens } = plane;
  const revoked = issue('revoked', { role: 'admin', scope: '*' });
  tokens.records.delete('revoked');
  const expired = issue('expired', { role: 'admin', scope: '*', expires: '2020-01-01T00:00:00Z' });
  callers.push(
    { name: 'nobody', header: null, token: null },
    { name: 'a wrong word', header: 'Bearer s3cret', token: null },
    { name: 'another scheme', header: 'Basic czNjcmV0', token: null },
    { name: 'a made-up token', header: `Bearer ${makeToken(randomBytes).text}`, token: null },
    { name: 'a revoked admin', header: revoked, token: null },
    { name: 'an expired admin', header: expired, token: null },
    { name: 'the static token', header: 'Bearer static-word', token: { role: 'admin', scope: '*' } },
  );
  for (const role of ROLE_NAMES)
    for (const scope of ['*', 'shop', 'cart', ...(role === 'gateway' ? ['gw-*', 'gw-2'] : [])])
      callers.push({
        name: `${role} of ${scope}`,
        header: issue(`${role}-${scope.replaceAll('*', 'all')}`, { role, scope }),
        token: { role, scope },
      });
  const app = createApp({
    ...{ plane, log: createRecordingLog(), token: 'static-word', clock: systemClock, version: '1' },
    ...{ randomId: () => 'r', randomBytes, metrics: () => Promise.resolve('') },
    closing: new AbortController().signal,
    failures: { burst: Infinity },
  });
  server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function matches(scope: string, name: string): boolean {
  return scope === '*' || scope === name || (scope === 'gw-*' && name.startsWith('gw-'));
}

/** What has to be answered: a refusal's status, or `in` = whatever the route itself says. */
function expected({ access }: Endpoint, { token }: Caller): 401 | 403 | 404 | 'in' {
  if (access.role === 'open') return 'in';
  if (token === null) return 401;
  if (access.role === 'any') return 'in';
  const { role, scope } = token;
  if (RANK[role] < RANK[access.role] && role !== access.also) return 403;
  const ofShop = role !== 'gateway' && matches(scope, 'shop');
  switch (access.about) {
    case 'nothing':
    case 'shown':
      return 'in';
    case 'service':
    case 'selector':
      return ofShop ? 'in' : 403;
    case 'named':
      return ofShop ? 'in' : 404;
    case 'all':
      return scope === '*' ? 'in' : 403;
    case 'gateway':
      return (role === 'gateway' ? matches(scope, 'gw-1') : scope === '*') ? 'in' : 403;
  }
}

async function ask(method: string, path: string, caller: Caller, body?: object) {
  const answer = await request(base + path, {
    method: method as 'GET',
    headers: {
      ...(caller.header === null ? {} : { authorization: caller.header }),
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'if-match': '*' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.statusCode, text: await answer.body.text() };
}

const concrete = (path: string): string =>
  path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(NAMES[name] ?? name));

function bodyOf({ method, path, access }: Endpoint): object | undefined {
  if (method === 'get' || method === 'delete') return undefined;
  if (/\/(?:promote|skip|retry)$/.test(path)) return { expected_step: 0 };
  return access.about === 'selector' ? { selector: { host: '10.0.0.1' } } : {};
}

describe('roles', () => {
  it(
    'every route lets in whom it says, and nobody else',
    async () => {
      const wrong: string[] = [];
      let asked = 0;
      for (const one of all)
        for (const caller of callers) {
          const { status, text } = await ask(
            one.method.toUpperCase(),
            concrete(one.path),
            caller,
            bodyOf(one),
          );
          const want = expected(one, caller);
          const isIn = status !== 401 && status !== 403 && status !== 429 && status < 500;
          const unknown = want === 'in' && one.access.about === 'named' && status === 404;
          if (want === 'in' ? !isIn || unknown : status !== want)
            wrong.push(
              `${one.method} ${one.path} by ${caller.name}: ${String(status)}, not ${String(want)}: ${text}`,
            );
          asked += 1;
        }
      expect(wrong).toEqual([]);
      expect(asked).toBe(all.length * callers.length);
    },
    LONG_MS,
  );

  it(
    'a method that a path does not have, and a path that there is not, are shown to nobody without a token',
    async () => {
      // Where a GET is one of a gateway with that name.
      const paths = [...new Set(all.map(({ path }) => path)), '/v1/nothing', '/'].filter(
        (path) => path !== '/v1/gateways/forgets',
      );
      const wrong: string[] = [];
      for (const path of paths) {
        const here = all.filter((one) => one.path === path);
        const has = here.flatMap(({ method }) =>
          method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()],
        );
        const isOpen = here.some(({ access }) => access.role === 'open');
        for (const method of METHODS.filter((one) => !has.includes(one)))
          for (const caller of callers.filter(({ name }) => STRANGERS.includes(name))) {
            const { status } = await ask(method, concrete(path), caller);
            const want = caller.token === null && !isOpen ? 401 : here.length === 0 ? 404 : 405;
            if (status !== want)
              wrong.push(`${method} ${path} by ${caller.name}: ${String(status)}, not ${String(want)}`);
          }
      }
      expect(wrong).toEqual([]);
    },
    LONG_MS,
  );

  it.each(all.map((one) => [`${one.method} ${one.path}`, one] as const))(
    '%s is declared as it must be',
    (_, one) => {
      const { role, about } = one.access;
      const named = [...one.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      if (named.includes('service')) expect(about).toBe('service');
      if (named.includes('operation') || named.includes('release')) expect(about).toBe('named');
      if (one.path.includes('gateway')) expect(['gateway', 'all']).toContain(about);
      if (one.path.includes('token') || one.path.includes('accept_data_loss'))
        expect([role, about]).toEqual(['admin', 'all']);
      // No change is for those who only read, and none is open.
      if (one.method !== 'get') expect(['operator', 'releaser', 'admin']).toContain(role);
      if (one.method !== 'get') expect(['nothing', 'shown']).not.toContain(about);
      if (role === 'open') expect(['/livez', '/readyz']).toContain(one.path);
      if (role === 'any') expect(['/v1/whoami', '/openapi.json']).toContain(one.path);
    },
  );
});

describe('what a token is for', () => {
  const by = (name: string): Caller => callers.find((one) => one.name === name)!;
  const items = async (path: string, name: string): Promise<readonly Record<string, unknown>[]> => {
    const { text } = await ask('GET', path, by(name));
    return (JSON.parse(text) as { items: readonly Record<string, unknown>[] }).items;
  };

  it('lists have its services, and nothing of others or of all', async () => {
    fill();
    plane.intentList = ['shop', 'cart', '*'].map((service) => ({
      ...{ service, instance: null, kind: 'freeze' as const, value: '', by: 'ann', reason: '' },
      ...{ since: '2026-05-01T12:00:00Z', until: null },
    }));
    plane.operationMap.set(
      'op-2',
      makeOperation({
        id: 'op-2',
        targets: [
          ['shop', 'a'],
          ['cart', 'a'],
        ],
      }),
    );
    const seen = async (name: string) => ({
      services: (await items('/v1/services', name)).map((one) => one['service']),
      intents: (await items('/v1/intents', name)).map((one) => one['service']),
      operations: (await items('/v1/operations', name)).map((one) => one['id']).sort(),
      releases: (await items('/v1/releases', name)).map((one) => one['service']),
    });
    expect(await seen('viewer of shop')).toEqual({
      ...{ services: ['shop'], intents: ['shop'], operations: ['op-1'], releases: ['shop'] },
    });
    expect(await seen('viewer of cart')).toEqual({
      services: ['cart'],
      intents: ['cart'],
      operations: [],
      releases: [],
    });
    expect(await seen('viewer of *')).toMatchObject({
      services: ['shop', 'cart'],
      operations: ['op-1', 'op-2'],
    });
    expect((await ask('GET', '/v1/operations/op-2', by('viewer of shop'))).status).toBe(404);
    plane.operationMap.delete('op-2');
  });

  it('a selector across services is refused whole, and the answer names the others', async () => {
    plane.instanceMap.get('cart')!.push({ ...plane.instanceMap.get('shop')![0]!, service: 'cart', id: 'z' });
    const etag = plane.serviceMap.get('shop')?.etag;
    const { status, text } = await ask('POST', '/v1/isolates', by('operator of shop'), {
      selector: { host: '10.0.0.1' },
    });
    expect([status, JSON.parse(text)]).toMatchObject([
      403,
      { code: 'forbidden', detail: expect.stringMatching(/touches cart\./) as string },
    ]);
    expect(plane.serviceMap.get('shop')?.etag).toBe(etag);
    plane.instanceMap.get('cart')!.pop();
  });

  it('routes need an admin: by them a service would take the traffic of others', async () => {
    const patch = { routes: [{ host: '*', path: '/' }] };
    const refused = await ask('PATCH', '/v1/services/shop', by('releaser of *'), patch);
    expect([refused.status, JSON.parse(refused.text)]).toMatchObject([403, { field: 'body.routes' }]);
    expect(
      (await ask('PATCH', '/v1/services/shop', by('releaser of shop'), { min_available: 2 })).status,
    ).toBe(200);
    expect((await ask('PATCH', '/v1/services/shop', by('admin of shop'), patch)).status).toBe(200);
  });
});
