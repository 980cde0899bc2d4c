import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { request } from 'undici';
import { reservePort } from '../control-plane/src/testkit.js';
import { Authority } from './harness/certificates.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { startRegistrar } from './harness/registrar.js';
import { until } from './harness/until.js';
import { readZnode } from './harness/znode.js';

/*
 * Controllers and registrars as processes, which reach ZooKeeper by TLS alone and with a password, as docs/how-to/zookeeper-auth-and-tls.md says.
 */

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-secured-'));
const [ours, theirs] = [new Authority(dir, 'ours'), new Authority(dir, 'theirs')];
let platform: ControlledPlatform;
/** What everybody is given who may. */
let good: Readonly<Record<string, string>>;

function authFile(name: string, password: string): string {
  const file = join(dir, name);
  writeFileSync(file, `digest:ebbgate:${password}\n`, { mode: 0o600 });
  return file;
}

beforeAll(async () => {
  const port = await reservePort();
  const server = ours.sign('zookeeper', 'DNS:localhost,IP:127.0.0.1');
  const both = join(dir, 'zookeeper-both.pem');
  writeFileSync(both, readFileSync(server.key, 'utf8') + readFileSync(server.cert, 'utf8'));
  good = {
    EBBGATE_ZOOKEEPER: `127.0.0.1:${String(port)}`,
    EBBGATE_ZOOKEEPER_TLS: 'on',
    EBBGATE_ZOOKEEPER_TLS_CA: ours.ca,
    EBBGATE_ZOOKEEPER_AUTH_FILE: authFile('right', 'the-right-one'),
  };
  platform = await ControlledPlatform.start({
    env: good,
    zooCfg: [
      ...['secureClientPortAddress=127.0.0.1', `secureClientPort=${String(port)}`],
      'serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory',
      ...[`ssl.keyStore.location=${both}`, 'ssl.keyStore.type=PEM'],
      ...[`ssl.trustStore.location=${ours.ca}`, 'ssl.trustStore.type=PEM', 'ssl.clientAuth=none'],
    ],
  });
});
afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

test('an instance registers, is drained by an operator and given back, and drains itself when it leaves; no request fails', async () => {
  const [one, other] = await Promise.all([
    platform.register({ env: good }),
    platform.register({ env: good }),
  ]);
  await platform.route();
  await using traffic = platform.traffic();
  expect(await platform.cli('drain', '-s', 'shop', one.id, '--wait')).toMatchObject({ code: 0 });
  await platform.undrain(one.id);
  expect(await other.leave()).toBe(0);
  await until('it is not registered any more', async () => (await platform.service()).instances.total === 1);
  expect(await traffic.stop()).toEqual([]);
  // Whoever has no password reads nothing of what was decided.
  await expect(readZnode(platform.ports.zookeeper, '/ebbgate/intents/shop')).rejects.toThrow('no auth');
});

test.each<readonly [string, () => Readonly<Record<string, string>>, RegExp, RegExp]>([
  [
    'another password',
    () => ({ EBBGATE_ZOOKEEPER_AUTH_FILE: authFile('wrong', 'another-one') }),
    /refuses writes: \/ebbgate\/intents\/@probe: no auth/,
    /the provider node cannot be written yet .*no auth: register as a user that may create nodes here/,
  ],
  [
    'another authority',
    () => ({ EBBGATE_ZOOKEEPER_TLS_CA: theirs.ca }),
    /TLS: .*certificate: EBBGATE_ZOOKEEPER_TLS_CA must name the authority/,
    /TLS: .*certificate: EBBGATE_ZOOKEEPER_TLS_CA must name the authority/,
  ],
  [
    'no TLS',
    () => ({ EBBGATE_ZOOKEEPER_TLS: 'off', EBBGATE_ZOOKEEPER_TLS_CA: '' }),
    /does this port want TLS/,
    /does this port want TLS/,
  ],
])(
  'with %s a controller is not ready and a registrar does not register; both say why, and no password',
  async (name, wrong, ofController, ofRegistrar) => {
    const env = { ...good, ...wrong() };
    const id = name.replace(' ', '-');
    const controller = await platform.addController(id, env);
    const registrar = startRegistrar(
      platform.dir,
      { ...platform.env, ...env },
      { service: 'shop', version: 'v1', port: await reservePort() },
    );
    try {
      const readyz = async (): Promise<string> => {
        const answer = await request(`${controller.api}/readyz`);
        return `${String(answer.statusCode)} ${await answer.body.text()}`;
      };
      const log = (file: string): string => readFileSync(join(platform.dir, file), 'utf8');
      const [ofOne, ofOther] = [`${id}.log`, `shop-${String(registrar.port)}.log`];
      await until('/readyz says why', async () => ofController.test(await readyz()));
      expect(await readyz()).toMatch(/^503 /);
      await until('the registrar says why', () => ofRegistrar.test(log(ofOther)));
      for (const file of [ofOne, ofOther]) expect(log(file)).not.toMatch(/the-right-one|another-one/);
      expect((await platform.call('GET', `/v1/services/shop/instances/${registrar.id}`)).status).toBe(404);
    } finally {
      await registrar.vanish();
      await controller.kill();
    }
  },
);
