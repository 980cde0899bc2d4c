import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inFlightKey, type Position } from '../control-plane/src/testkit.js';
import { gatewayConf } from './harness/gateway.js';
import { startInstance, type Instance } from './harness/instance.js';
import { openRequest } from './harness/open_request.js';
import { peer } from './harness/publish.js';
import { renderAs, unpackRecorded, type Release } from './harness/recorded.js';
import { Workbench } from './harness/workbench.js';

/*
 * A gateway and the versions of the contract; the test is the controller. Upgrades of a whole installation: upgrade.e2e.test.ts.
 */

let one: Instance;
let two: Instance;
let dir: string;
let older: Release;

beforeAll(async () => {
  [one, two] = await Promise.all([startInstance({ service: 'shop' }), startInstance({ service: 'shop' })]);
  dir = mkdtempSync(join(tmpdir(), 'ebbgate-older-'));
  older = unpackRecorded(dir);
});
afterAll(async () => {
  await Promise.all([one.stop(), two.stop()]);
  rmSync(dir, { recursive: true });
});

/** Publishes the set of `shop` in version 2, as short as it may be. */
function publishLean(bench: Workbench, { host, port }: Instance, more: object = {}): Promise<Position> {
  const document = { v: 2, service: 'shop', peers: [{ host, port, ...more }] };
  return bench.publishing.write('shop', { payload: JSON.stringify(document) });
}

async function answering(bench: Workbench): Promise<string> {
  const { status, text } = await bench.ask('shop');
  return status === 200 ? (JSON.parse(text) as { readonly instance: string }).instance : String(status);
}

test('both versions are obeyed, each after the other, and from the disk', async () => {
  await using bench = await Workbench.start();
  await bench.serve('shop', [peer(one)]);
  const beat = await bench.acked(await publishLean(bench, two));
  expect(beat).toMatchObject({ contracts: [1, 2], rejected: [] });
  expect(await answering(bench)).toBe(two.id);
  await bench.serve('shop', [peer(one)]);
  expect(await answering(bench)).toBe(one.id);
  await bench.acked(await publishLean(bench, two));
  await bench.gateway.stop();
  await bench.redis.stop();
  await bench.start();
  expect(await answering(bench)).toBe(two.id);
});

test('in version 2 a drain is obeyed, and what is left out means no drain', async () => {
  await using bench = await Workbench.start();
  await bench.serve('shop', [peer(one)]);
  await bench.acked(await publishLean(bench, one, { state: 'draining', weight: 0 }));
  expect(await answering(bench)).toBe('503');
  await bench.acked(await publishLean(bench, one));
  expect(await answering(bench)).toBe(one.id);
});

test('after a reload from an older release it announces what its oldest worker understands', async () => {
  await using bench = await Workbench.prepare();
  const gateway = await bench.startBy(renderAs(older, bench.place));
  await bench.serve('shop', [peer(one)]);
  await bench.acked(await bench.publishing.routes([{ host: '*', path: '/', service: 'shop' }]));
  await bench.heard('an older gateway', ({ contracts }) => contracts.join() === '1');
  const open = await openRequest(gateway.url, one);
  await gateway.reload(gatewayConf(bench.place));
  const both = await bench.heard('old and new workers', ({ workers }) => workers > 2);
  expect(both.contracts).toEqual([1]);
  // The older worker obeys what the newer one has put in force.
  const after = await bench.acked(
    await bench.publishing.set('shop', [peer(one, 0, { state: 'draining' }), peer(two)]),
  );
  expect(after.in_flight).toEqual({ [inFlightKey('shop', one.id)]: 1 });
  expect(await open.end()).toBe(200);
  const newer = await bench.heard('new workers only', ({ contracts }) => contracts.join() === '1,2');
  expect(newer).toMatchObject({ workers: 2, in_flight: {}, boot: both.boot });
  await bench.acked(await publishLean(bench, one));
  expect(await answering(bench)).toBe(one.id);
});
