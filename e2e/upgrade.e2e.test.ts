import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from './harness/cli.js';
import { Hosts } from './harness/hosts.js';
import { measured } from './harness/measured.js';
import { statusOf } from './harness/platform.js';
import type { Registrar } from './harness/registrar.js';
import { sendMany, startTraffic, type Traffic } from './harness/traffic.js';
import { compareOutput, readTranscript, Shell, type Step } from './harness/transcript.js';
import { until } from './harness/until.js';

/*
 * docs/how-to/upgrade.md, command by command, from the recorded older release to this one and back, while requests go through the load
 * balancer. After each section something is decided, and proven on every gateway, whatever releases run.
 */

const PAGE = 'docs/how-to/upgrade.md';
/** Commands that only look, and may be given again. */
const LOOKING = /^ebbgate (get|describe) |^(ssh \S+ ")?curl -s /;

const sections = readTranscript(readFileSync(join(import.meta.dirname, '..', PAGE), 'utf8'));
let hosts: Hosts;
let shell: Shell;
let traffic: Traffic;
let ids: readonly string[];
/** An instance under `ebbgate register` of the older release. */
let registrar: Registrar;
let weight = 100;
let broken: string | null = null;

beforeAll(async () => {
  hosts = await Hosts.start();
  const instances = await Promise.all([1, 2, 3].map(() => hosts.startInstance()));
  ids = instances.map(({ id }) => id);
  registrar = await hosts.register({ ebbgate: hosts.older });
  await hosts.patch('shop', { routes: [{ host: '*', path: '/' }], retry: { tries: 3 } });
  await until(
    'the route is served',
    async () => (await sendMany({ url: hosts.url, count: 1 })).failed.length === 0,
  );
  shell = new Shell({ ...hosts.shell, dir: hosts.dir });
  traffic = startTraffic({ url: hosts.url, rate: 50, resends: true });
});
afterAll(async () => {
  await traffic[Symbol.asyncDispose]();
  shell.close();
  await hosts[Symbol.asyncDispose]();
});

async function runStep(step: Step): Promise<void> {
  const where = `${PAGE}:${String(step.line)}: $ ${step.command}\n`;
  const deadline = Date.now() + 15_000;
  for (;;) {
    const { code, printed } = await shell.run(hosts.command(step.command));
    const failed = code === 0 ? null : `ended with ${String(code)} and printed:\n${printed}`;
    const expected = step.output?.map((line) => hosts.placed(line, ''));
    const wrong = failed ?? (expected && compareOutput(expected, printed)) ?? null;
    if (wrong === null) return;
    if (!LOOKING.test(step.command) || Date.now() > deadline) throw new Error(where + wrong);
  }
}

/** What must go on whatever runs: a drain that is proven on both gateways, and taken back. */
async function drainOne(): Promise<void> {
  const [id = ''] = ids;
  const drain = ['drain', '-s', 'shop', id, '--wait', '--timeout', '20s', '--reason', 'try'];
  for (const args of [drain, ['undrain', '-s', 'shop', id]]) {
    const run = await runCli(args, hosts.shell.env);
    expect(run, run.stderr).toMatchObject({ code: 0 });
  }
}

/** Both controllers take a change, whichever releases lead and wait. */
async function changeByEach(): Promise<void> {
  for (const name of ['control-1', 'control-2'] as const) {
    const [id = ''] = ids;
    const answer = await request(`${hosts.api(name)}/v1/services/shop/instances/${encodeURIComponent(id)}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json', 'if-match': '*' },
      body: JSON.stringify({ weight: (weight += 1) }),
    });
    expect({ name, status: answer.statusCode, text: await answer.body.text() }).toMatchObject({
      status: 200,
    });
    await until(`the weight that ${name} was asked for is published`, async () => {
      const { peers } = await hosts.published();
      return peers.find((peer) => peer.id === id)?.weight === weight;
    });
  }
}

/** The version of the contract that the set of `shop` is written in, and what it says. */
async function written(): Promise<unknown> {
  const payload = (await hosts.data.hget('{ebb}:set:shop', 'payload')) ?? '{}';
  expect(await hosts.published()).toMatchObject({ v: 1, retry: { tries: 3 } });
  return (JSON.parse(payload) as { readonly v: unknown }).v;
}

const CONTRACT_AFTER: Readonly<Record<string, number>> = {
  'Before you begin': 1,
  'The controllers': 1,
  'The gateways': 2,
  'The way back': 1,
};

/** What the page says of older releases, and has no command for. */
const AFTER: Readonly<Record<string, () => Promise<void>>> = {
  'The gateways': async () => {
    for (const noun of ['services', 'gateways', 'operations'])
      expect(hosts.olderCli('get', noun)).toMatch(/\w/);
    expect(await registrar.leave()).toBe(0);
    // One that comes without the contract being lowered first has nothing to serve, for a moment.
    const older = await hosts.startOlderGateway('edge-3');
    const began = performance.now();
    const served = async (): Promise<boolean> => (await statusOf(older.url)) === 200;
    await until('an older gateway that joined serves', served);
    measured('upgrade: an older gateway joins a newer fleet → it serves', performance.now() - began);
    expect(await written()).toBe(1);
    await drainOne();
    await older.stop();
    await hosts.call('POST', '/v1/gateways/edge-3/leave', { reason: 'it was tried' });
    await until('the contract is the newer one again', async () => (await written()) === 2);
  },
};

it('the page has the sections that are looked at here', () => {
  expect(sections.map(({ title }) => title)).toEqual(Object.keys(CONTRACT_AFTER));
});

for (const { title, steps } of sections)
  it(title, { timeout: 120_000 }, async ({ skip }) => {
    skip(broken !== null, `"${broken ?? ''}" failed, and each section goes on from the one before`);
    broken = title;
    const before = traffic.total();
    for (const step of steps) {
      await runStep(step);
      if (step.command === 'ebbgate get controllers') await changeByEach();
    }
    await drainOne();
    expect(await written()).toBe(CONTRACT_AFTER[title]);
    await until('requests went through', () => traffic.total() > before + 50);
    expect(traffic.failed).toEqual([]);
    await AFTER[title]?.();
    broken = null;
  });
