import { afterAll, beforeAll, expect, test } from 'vitest';
import { type KazooRegistrant, startKazoo, zkCli } from '../control-plane/src/testkit.js';
import { ControlledPlatform } from './harness/controlled_platform.js';
import { until, untilValue } from './harness/until.js';

/*
 * Registrants that are not ours write nodes that the controller may not read, persistent ones and odd ones, below the registry of
 * a whole Ebbgate under traffic. Each of them is a problem of its own service; everything else goes on.
 */

let platform: ControlledPlatform;
let kazoo: KazooRegistrant;
const providers = (service: string): string => `/services/${service}/providers`;

beforeAll(async () => {
  platform = await ControlledPlatform.start({ env: { EBBGATE_RECHECK: '1s' } });
  kazoo = await startKazoo(platform.ports.zookeeper);
});
afterAll(async () => {
  await kazoo.close();
  await platform[Symbol.asyncDispose]();
});

interface Found {
  readonly code: string;
  readonly service: string | null;
  readonly path: string | null;
}
async function problems(): Promise<readonly string[]> {
  const { body } = await platform.call<{ readonly items: readonly Found[] }>('GET', '/v1/problems');
  return body.items.map(({ code, service, path }) => `${String(service)} ${code} ${String(path)}`);
}
const reported = (line: string): Promise<unknown> =>
  untilValue(`the problem ${line}`, problems, (lines) => lines.includes(line));
const gone = (part: string): Promise<unknown> =>
  untilValue(`no problem with ${part}`, problems, (lines) => !lines.some((line) => line.includes(part)));

test('what the controller may not read is a problem of its service, and every other service goes on', async () => {
  const [one] = [await platform.startInstance(), await platform.startInstance()];
  await platform.route();
  await using traffic = platform.traffic({ rate: 40 });
  // A node beside two good ones, a whole service, and a name that no service may have.
  await kazoo.create(`${providers('shop')}/secret`, { id: 's', host: '127.0.0.1', port: 9 }, { acl: 'own' });
  await kazoo.create(`${providers('locked')}/a`, '{}', { acl: 'own' });
  await kazoo.create('/services/bad name/providers/a', '{}');
  await reported(`shop unreadable_node ${providers('shop')}/secret`);
  await untilValue('a problem of locked', problems, (lines) =>
    lines.some((line) => line.startsWith('locked unreadable_node /services/locked')),
  );
  await untilValue('a problem of the bad name', problems, (lines) =>
    lines.some((line) => line.startsWith('null bad_service_name /services/bad name')),
  );
  expect((await platform.call('GET', '/readyz')).status).toBe(200);
  expect((await platform.service('locked')).service).toBe('locked');

  // Others' changes are taken and proven, and new instances are seen.
  expect((await platform.ended(await platform.drain(one.id))).result).toBe('drained');
  await platform.undrain(one.id);
  await platform.startInstance({ service: 'other' });

  // Mended and removed: the problems end, also of what no watch shows.
  await kazoo.remove(`${providers('shop')}/secret`);
  await gone('/secret');
  await kazoo.remove('/services/locked');
  await gone('/services/locked');
  await kazoo.remove('/services/bad name');
  await gone('bad name');
  expect(await traffic.stop()).toEqual([]);
});

test('an instance whose node becomes unreadable stays as it was known, and goes when the node does', async () => {
  const path = `${providers('quiet')}/a`;
  const data = { id: 'a', host: '127.0.0.1', port: 9_001, weight: 7 };
  await kazoo.create(path, data);
  const up = async (): Promise<unknown> => (await platform.instance('a', 'quiet')).effective.state === 'up';
  await until('the instance is in use', up);
  await reported(`quiet persistent_node ${providers('quiet')}`);
  await kazoo.protect(path, 'own');
  await kazoo.set(path, { ...data, weight: 8 });
  await reported(`quiet unreadable_node ${path}`);
  expect(await platform.instance('a', 'quiet')).toMatchObject({
    registered: true,
    effective: { state: 'up', weight: 7 },
  });
  await kazoo.protect(path, 'open');
  await untilValue(
    'the weight that was written meanwhile',
    () => platform.instance('a', 'quiet'),
    ({ effective }) => effective.weight === 8,
  );
  await kazoo.protect(path, 'own');
  await reported(`quiet unreadable_node ${path}`);
  await kazoo.remove(path);
  await until('the instance is not registered any more', async () => {
    const answer = await platform.call('GET', '/v1/services/quiet/instances/a');
    return answer.status === 404 || !(answer.body as { readonly registered: boolean }).registered;
  });
});

test("nodes of ZooKeeper's own command line: odd bytes are one problem each, and what is right is taken", async () => {
  const root = providers('typed');
  await zkCli(platform.ports.zookeeper, [
    'create /services/typed',
    `create ${root}`,
    `create ${root}/good {"host":"127.0.0.1","port":9100}`,
    `create ${root}/text hello`,
    `create ${root}/far {"host":"169.254.169.254","port":80}`,
    `create ${root}/folder`,
    `create ${root}/folder/inside {"host":"127.0.0.1","port":9101}`,
  ]);
  await until('the good one is in use', async () => {
    return (await platform.instance('127.0.0.1:9100', 'typed')).effective.state === 'up';
  });
  await reported(`typed bad_json ${root}/text`);
  await reported(`typed forbidden_host ${root}/far`);
  await untilValue('the folder', problems, (lines) =>
    lines.some((line) => line.startsWith(`typed nested_node ${root}/folder`)),
  );
  expect((await platform.call('GET', '/readyz')).status).toBe(200);
});
