import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectionsOf } from '../api/tls/outgoing.js';
import { productRoot } from '../cli/product.js';
import { parseConfig } from '../config.js';
import { readClientIdentity } from '../disk/api_identity.js';
import { reservePort } from '../local/port_reservation.js';
import type { LocalProcess } from '../local/process.js';
import { launchRedis } from '../local/redis.js';
import { launchZooKeeper } from '../local/zookeeper.js';
import { startController, type RunningController } from '../main.js';
import { ebbgate } from './cli_rig.js';
import { createRecordingLog, type RecordingLog } from './log.js';
import { until } from './until.js';

/*
 * docs/how-to/api-tls.md, as a person would follow it: openssl makes the certificates by the commands of the page, two controllers are configured by
 * its lines, and the command line asks them, over a real ZooKeeper and a real Redis.
 */

const root = productRoot();
const page = readFileSync(join(root, 'docs/how-to/api-tls.md'), 'utf8');
const blocks = [...page.matchAll(/^```(?:sh|text)\n(.*?)^```$/gms)].map(([, text = '']) => text);
const blockWith = (text: string): string => {
  const found = blocks.filter((block) => block.includes(text));
  if (found.length !== 1) throw new Error(`${String(found.length)} blocks have ${text}`);
  return found[0]!.replaceAll('10.0.0.5', '127.0.0.1');
};

const TOKEN = 's3cret';
const dir = mkdtempSync(join(tmpdir(), 'ebbgate-api-tls-page-'));
const servers: LocalProcess[] = [];
const running: RunningController[] = [];
let stores: { readonly zookeeper: number; readonly redis: number };
let apis: readonly [string, string];
let logs: readonly [RecordingLog, RecordingLog];

function openssl(block: string): void {
  const ran = spawnSync('/bin/sh', ['-euc', block], { cwd: dir, encoding: 'utf8' });
  if (ran.status !== 0) throw new Error(ran.stderr);
}

/** Starts a controller as the lines of the page say, at an address of this machine; its address. */
async function start(id: string, log: RecordingLog): Promise<string> {
  const address = `127.0.0.1:${String(await reservePort())}`;
  const lines = blockWith('# controller.env').replaceAll('/etc/ebbgate', dir).split('\n');
  const config = parseConfig({
    ...Object.fromEntries(lines.filter((line) => line.includes('=')).map((line) => line.split('='))),
    EBBGATE_API_CLIENT_CA: join(dir, 'clients.pem'),
    EBBGATE_API_LISTEN: address,
    EBBGATE_API_ADVERTISE: `https://${address}`,
    EBBGATE_CONTROLLER_ID: id,
    EBBGATE_TOKEN: TOKEN,
    EBBGATE_ZOOKEEPER: `127.0.0.1:${String(stores.zookeeper)}`,
    EBBGATE_REDIS: `redis://127.0.0.1:${String(stores.redis)}`,
  });
  if (!config.ok) throw new Error(config.error.join('\n'));
  running.push(await startController(config.value, { log, productRoot: root, version: '1' }));
  return `https://${address}`;
}

beforeAll(async () => {
  stores = { zookeeper: await reservePort(), redis: await reservePort() };
  servers.push(
    await launchZooKeeper({ dir: join(dir, 'zookeeper'), port: stores.zookeeper }),
    await launchRedis({ dir: join(dir, 'redis'), port: stores.redis }),
  );
  openssl(blockWith('-keyout ca.key'));
  openssl(blockWith('-keyout clients.key'));
  logs = [createRecordingLog(), createRecordingLog()];
  const first = await start('one', logs[0]);
  await until(async () => expect((await run('get controllers', first)).out).toMatch(/one +leader/));
  apis = [first, await start('two', logs[1])];
  await until(async () => expect((await run('get services', apis[1])).code).toBe(0));
});
afterAll(async () => {
  for (const one of running.toReversed()) await one.close();
  await Promise.all(servers.map((one) => one.stop()));
  rmSync(dir, { recursive: true });
});

const trusting = (api: string) => ({ EBBGATE_API: api, EBBGATE_API_CA: join(dir, 'ca.pem') });
/** By the token of the configuration. */
const run = (words: string, api: string) =>
  ebbgate(words, { env: { ...trusting(api), EBBGATE_TOKEN: TOKEN } });
/** By the certificate. */
const asAnn = (words: string, api: string) =>
  ebbgate(words, {
    env: { ...trusting(api), EBBGATE_API_CERT: join(dir, 'ann.pem'), EBBGATE_API_KEY: join(dir, 'ann.key') },
  });

test('both are known by https; a standby has the leader make the token, and both know it by the certificate', async () => {
  const listed = await run('get controllers', apis[1]);
  expect(listed.out).toMatch(new RegExp(`one +leader +${apis[0]}`));
  expect(listed.out).toMatch(new RegExp(`two +standby +${apis[1]}`));
  const made = await run('token create ann --role operator --certificate ann.people.example', apis[1]);
  expect(made).toMatchObject({ code: 0, out: '' });
  for (const api of apis)
    await until(async () => {
      const shown = await asAnn('whoami', api);
      expect(shown.out).toMatch(/^Name: +ann$/m);
      expect(shown.out).toMatch(/^Proof: +certificate$/m);
    });
});

test('a change by certificate goes on to the leader; revoked, it opens nothing', async () => {
  const freeze = 'freeze shop --reason x';
  const alone = await asAnn(freeze, apis[1]);
  expect(alone.code).toBe(7);
  expect(alone.err).toContain(`the leader at ${apis[0]}`);
  // It comes as far as the decision: there is no such service.
  expect((await asAnn(freeze, `${apis[1]},${apis[0]}`)).err).toMatch(/not_found/);
  expect((await run('token revoke ann --reason test', apis[0])).code).toBe(0);
  for (const api of apis)
    await until(async () => expect((await asAnn('whoami', api)).err).toMatch(/which no token is for/));
});

test('a pair that does not fit is a problem of that controller until it fits, and its end is a metric', async () => {
  const connections = connectionsOf(() => readClientIdentity({ ca: join(dir, 'ca.pem'), cert: '', key: '' }));
  const by = connections();
  if (!by.ok) throw new Error(by.error);
  const { body } = await request(`${apis[0]}/metrics`, {
    ...{ dispatcher: by.value, headers: { authorization: `Bearer ${TOKEN}` } },
  });
  const metrics = await body.text();
  await by.value.close();
  const [, ends] = /^ebbgate_api_certificate_expiry_timestamp_seconds (\d+)$/m.exec(metrics) ?? [];
  expect((Number(ends) * 1_000 - Date.now()) / 86_400_000).toBeCloseTo(90, 0);
  copyFileSync(join(dir, 'api.key'), join(dir, 'kept.key'));
  copyFileSync(join(dir, 'ann.key'), join(dir, 'api.key'));
  await until(async () => expect((await run('get problems', apis[0])).out).toMatch(/unusable_certificate/));
  copyFileSync(join(dir, 'kept.key'), join(dir, 'api.key'));
  await until(async () => expect((await run('get problems', apis[0])).err).toMatch(/no problems/));
  const errors = logs[0].lines.filter(({ level }) => level === 'error').map(({ message }) => message);
  expect(errors).toEqual([expect.stringMatching(/is not the key of .*stays in force$/)]);
});
