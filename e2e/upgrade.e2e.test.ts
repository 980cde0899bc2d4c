import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from './harness/cli.js';
import { Hosts } from './harness/hosts.js';
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
let broken: string | null = null;

beforeAll(async () => {
  hosts = await Hosts.start();
  const instances = await Promise.all([1, 2, 3].map(() => hosts.startInstance()));
  ids = instances.map(({ id }) => id);
  await hosts.patch('shop', { routes: [{ host: '*', path: '/' }], retry: { tries: 3 } });
  await until(
    'the route is served',
    async () => (await sendMany({ url: hosts.url, count: 1 })).failed.length === 0,
  );
  shell = new Shell({ ...hosts.shell, dir: hosts.dir });
  traffic = startTraffic({ url: hosts.url, rate: 100, resends: true });
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

it('the page has the sections that are looked at here', () => {
  expect(sections.map(({ title }) => title)).toEqual(Object.keys(CONTRACT_AFTER));
});

for (const { title, steps } of sections)
  it(title, { timeout: 120_000 }, async ({ skip }) => {
    skip(broken !== null, `"${broken ?? ''}" failed, and each section goes on from the one before`);
    broken = title;
    const before = traffic.total();
    for (const step of steps) await runStep(step);
    await drainOne();
    expect(await written()).toBe(CONTRACT_AFTER[title]);
    await until('requests went through', () => traffic.total() > before + 50);
    expect(traffic.failed).toEqual([]);
    broken = null;
  });
