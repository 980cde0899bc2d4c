import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { forwardByHttp } from '../api/forward_http.js';
import type { Api } from '../api/server.js';
import { ApiCertificate } from '../api/tls/certificate.js';
import { connectionsOf } from '../api/tls/outgoing.js';
import { systemClock } from '../clock.js';
import { readClientIdentity, readServerIdentity } from '../disk/api_identity.js';
import { askAcceptance } from '../registrar/acceptance.js';
import { askApi } from '../registrar/ask_api.js';
import { Authority, type Certificate } from '../testing/certificates.js';
import { ebbgate, listen, served } from '../testing/cli_rig.js';
import { createRecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { makeGateway, makeReadiness } from '../testing/resources.js';
import { buildToken } from '../testing/tokens.js';
import { productRoot } from './product.js';

/*
 * Whoever asks the control API by TLS: the command line, what `ebbgate register` asks, and the gateway's leave.sh.
 */

const TOKEN = 's3cret';
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-cli-tls-'));
const authority = new Authority(dir, 'ours');
const stranger = new Authority(dir, 'theirs');
let own: Certificate;
let elsewhere: Certificate;
let ann: Certificate;
let opened: Api[];

beforeAll(() => {
  own = authority.sign('api', 'DNS:localhost');
  elsewhere = authority.sign('elsewhere', 'DNS:elsewhere.example');
  ann = authority.sign('ann');
});
afterAll(() => {
  rmSync(dir, { recursive: true });
});
beforeEach(async () => {
  opened = [];
  served.plane = planeOf('leading');
  served.url = await serve();
});
afterEach(() => Promise.all(opened.map((one) => one.close())));

function planeOf(state: 'leading' | 'standby'): MemoryPlane {
  const plane = new MemoryPlane().add('shop', ['a', 'b']);
  const ready = makeReadiness();
  plane.ready = { ...ready, controller: { ...ready.controller, state } };
  const record = { name: 'ann', certificate: 'ann', verifier: null, role: 'admin' } as const;
  plane.tokens.records.set('ann', buildToken(record));
  plane.gatewayList = [makeGateway({ id: 'gw-1' })];
  return plane;
}

/** An API by TLS; its address. */
async function serve({ cert, key } = own, plane = served.plane): Promise<string> {
  const read = () => readServerIdentity({ cert, key, clientCa: authority.ca });
  const found = read();
  if (!found.ok) throw new Error(found.error.message);
  const names = { cert: 'CERT', key: 'KEY', clientCa: 'CA' };
  const certificate = new ApiCertificate(found.value, {
    ...{ read, names, clock: systemClock, log: createRecordingLog() },
  });
  const trusts = connectionsOf(() => readClientIdentity({ ca: authority.ca, cert: '', key: '' }));
  const api = listen(0, TOKEN, { plane, certificate, forwardTo: forwardByHttp(trusts) });
  opened.push(api);
  await api.start();
  return `https://localhost:${String(api.address().port)}`;
}

const trusting = (more: Record<string, string> = {}) => ({ EBBGATE_API_CA: authority.ca, ...more });
const asAnn = (more: Record<string, string> = {}) =>
  trusting({ EBBGATE_API_CERT: ann.cert, EBBGATE_API_KEY: ann.key, ...more });

describe('ebbgate', () => {
  it('asks by TLS with the authority of a flag or of the environment, by token or by certificate', async () => {
    expect(await ebbgate('get services', { env: trusting({ EBBGATE_TOKEN: TOKEN }) })).toMatchObject({
      code: 0,
    });
    const flags = `--api-ca ${authority.ca} --api-cert ${ann.cert} --api-key ${ann.key}`;
    for (const run of [await ebbgate(`whoami ${flags}`), await ebbgate('whoami', { env: asAnn() })]) {
      expect(run).toMatchObject({ code: 0 });
      expect(run.out).toMatch(/^Name: +ann$/m);
      expect(run.out).toMatch(/^Proof: +certificate$/m);
    }
    expect(await ebbgate('weight shop a=7', { env: asAnn() })).toMatchObject({ code: 0 });
    expect(served.plane.mutated).toMatchObject([{ context: { by: 'ann' } }]);
  });

  it.each([
    ['no authority', () => ebbgate('whoami'), 7, /is not asked: .*not trusted here .*\n.*set EBBGATE_API_CA/],
    [
      'another authority',
      () => ebbgate('whoami', { env: { EBBGATE_API_CA: stranger.ca } }),
      ...([7, /not trusted here .*\n +next: set EBBGATE_API_CA/] as const),
    ],
    [
      'a certificate of another name',
      async () => ebbgate(`whoami --api ${await serve(elsewhere)}`, { env: trusting() }),
      ...([7, /for other names \(.*DNS:elsewhere\.example\)\n +next: ask under a name that it has/] as const),
    ],
    [
      'plain HTTP to a port that speaks TLS',
      () => ebbgate(`whoami --api ${served.url.replace('https', 'http')}`),
      ...([2, /invalid_request: this port speaks TLS: write https:\/\//] as const),
    ],
    [
      'neither token nor certificate',
      () => ebbgate('whoami', { env: trusting() }),
      1,
      /next: .*EBBGATE_API_CERT/,
    ],
    [
      'a certificate without its key',
      () => ebbgate(`whoami --api-cert ${ann.cert}`),
      ...([2, /--api-key or EBBGATE_API_KEY is missing: --api-cert needs its key/] as const),
    ],
    [
      'a key of another certificate',
      () => ebbgate('whoami', { env: asAnn({ EBBGATE_API_KEY: own.key }) }),
      ...([2, /EBBGATE_API_CERT and EBBGATE_API_KEY: .* is not the key of/] as const),
    ],
    [
      'a file that is not there',
      () => ebbgate('whoami --api-ca /none.pem'),
      ...([2, /--api-ca: \/none\.pem cannot be read: ENOENT/] as const),
    ],
  ])('with %s says what is wrong and what to set', async (_, run, code, text) => {
    const ended = await run();
    expect(ended.code).toBe(code);
    expect(ended.err).toMatch(text);
    expect(served.plane.mutated).toEqual([]);
  });

  it('to a plain port by https says that it speaks no TLS', async () => {
    const plain = listen(0);
    opened.push(plain);
    await plain.start();
    const run = await ebbgate(`whoami --api https://localhost:${String(plain.address().port)}`);
    expect(run.code).toBe(7);
    expect(run.err).toMatch(/speaks no TLS .*\n +next: write http:/);
  });

  it('a change by certificate goes on from the standby to the leader, by the list of addresses', async () => {
    const standby = planeOf('standby');
    standby.controllerList = [
      { id: 'one', role: 'leader', address: served.url, version: '1', started_at: '' },
    ];
    const second = await serve(own, standby);
    const both = asAnn({ EBBGATE_API: `${second},${served.url}` });
    expect(await ebbgate('weight shop a=7', { env: both })).toMatchObject({ code: 0 });
    expect(served.plane.mutated).toMatchObject([{ context: { by: 'ann' } }]);
    const alone = await ebbgate('weight shop a=8', { env: asAnn({ EBBGATE_API: second }) });
    expect(alone.code).toBe(7);
    expect(alone.err).toContain(`not_leader: This controller is a standby`);
    expect(alone.err).toContain(`the leader at ${served.url}`);
    // By token the standby does it.
    const token = trusting({ EBBGATE_TOKEN: TOKEN, EBBGATE_API: second });
    expect(await ebbgate('weight shop a=9', { env: token })).toMatchObject({ code: 0 });
    expect(served.plane.mutated).toHaveLength(2);
  });
});

describe('ebbgate register', () => {
  const data = { id: 'a', host: '10.0.1.7', port: 8080 };
  const asks = (connections: ReturnType<typeof connectionsOf>) => {
    const shared = { api: served.url, service: 'shop', clock: systemClock, connections };
    const { signal } = new AbortController();
    return Promise.all([
      askApi({ ...shared, instance: 'a' })(signal),
      askAcceptance({ ...shared, data, path: '/services/shop/providers/a' })(signal),
    ]);
  };

  it('asks by its certificate; another one in the same files counts from the next question on', async () => {
    const files = { ca: authority.ca, cert: join(dir, 'now.pem'), key: join(dir, 'now.key') };
    const bob = authority.sign('bob');
    copyFileSync(bob.cert, files.cert);
    copyFileSync(bob.key, files.key);
    const connections = connectionsOf(() => readClientIdentity(files));
    for (const { reason } of (await asks(connections)) as readonly { readonly reason: string }[])
      expect(reason).toMatch(/answered 401 .*EBBGATE_API_CERT/);
    copyFileSync(ann.cert, files.cert);
    copyFileSync(ann.key, files.key);
    const [drained, accepted] = await asks(connections);
    expect(drained).toMatchObject({ kind: 'waiting' });
    expect(accepted).not.toMatchObject({ reason: expect.stringMatching(/401/) });
  });

  it('says what is wrong with a certificate', async () => {
    const connections = connectionsOf(() => readClientIdentity({ ca: stranger.ca, cert: '', key: '' }));
    for (const { reason } of (await asks(connections)) as readonly { readonly reason: string }[])
      expect(reason).toMatch(/does not answer: .*not trusted here .*set EBBGATE_API_CA/);
  });
});

describe('leave.sh', () => {
  async function leave(env: Record<string, string>): Promise<{ code: number; said: string }> {
    const conf = join(dir, 'nginx.conf');
    writeFileSync(conf, `  gateway_id = "gw-1",\n  state_dir = "${dir}",\n`);
    const child = spawn('sh', [join(productRoot(), 'nginx/leave.sh'), conf], {
      env: { PATH: process.env['PATH'] ?? '', EBBGATE_API: served.url, EBBGATE_LEAVE_TIMEOUT: '0', ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    return { code, said };
  }

  it('reports by TLS, with the authority, by token or by certificate', async () => {
    expect(await leave(trusting({ EBBGATE_TOKEN: TOKEN }))).toMatchObject({ code: 0 });
    expect(await leave(asAnn())).toMatchObject({ code: 0 });
    expect(served.plane.mutated.map(({ mutation, context }) => [mutation.kind, context.by])).toEqual([
      ['leave_gateway', 'static for gateway-gw-1'],
      ['leave_gateway', 'ann for gateway-gw-1'],
    ]);
  });

  it('says what to set where it does not believe the certificate', async () => {
    const wrongly: readonly Record<string, string>[] = [{}, { EBBGATE_API_CA: stranger.ca }];
    for (const env of wrongly) {
      const { code, said } = await leave({ EBBGATE_TOKEN: TOKEN, ...env });
      expect(code).toBe(1);
      expect(said).toMatch(/is not believed: EBBGATE_API_CA must be the file/);
    }
    const wrong = await leave(trusting({ EBBGATE_API: await serve(elsewhere), EBBGATE_TOKEN: TOKEN }));
    expect(wrong.said).toMatch(/is not believed: .* must name that host/);
    expect((await leave({ EBBGATE_API_CA: '/none.pem' })).said).toMatch(/EBBGATE_API_CA, .* cannot be used/);
    expect(served.plane.mutated).toEqual([]);
  });

  it('by certificate goes on from a standby to the leader', async () => {
    const standby = planeOf('standby');
    standby.controllerList = [
      { id: 'one', role: 'leader', address: served.url, version: '1', started_at: '' },
    ];
    const second = await serve(own, standby);
    expect(await leave(asAnn({ EBBGATE_API: `${second},${served.url}` }))).toMatchObject({ code: 0 });
    expect(served.plane.mutated).toHaveLength(1);
  });
});
