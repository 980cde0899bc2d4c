import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ebbgate as runEbbgate, served, useApi } from '../testing/cli_rig.js';
import { makeRelease } from '../testing/memory_releases.js';

/*
 * `ebbgate release …` through the real API, on a plane from memory.
 */

useApi();

const ebbgate = (...words: readonly string[]) => runEbbgate(words, { env: { EBBGATE_ACTOR: 'ann' } });

it('starts a release as the flags say', async () => {
  const started = await ebbgate(
    ...[
      'release',
      'start',
      'shop',
      'v2',
      '--steps',
      '10,30s,pause,100',
      '--stable',
      'v1',
      '--min-samples',
      '7',
    ],
    ...['--on-inconclusive', 'fail', '--deadline', '1m', '--supersede', '--reason', 'new prices'],
  );
  expect(started).toMatchObject({ code: 0, err: '' });
  expect(started.out).toContain('next: ebbgate release watch rel-1');
  expect(served.plane.releases.begun).toMatchObject([
    {
      request: {
        service: 'shop',
        target: 'v2',
        stable: 'v1',
        strategy: {
          kind: 'weighted',
          steps: [{ weight: 10 }, { pause: { for_ms: 30_000 } }, { pause: {} }, { weight: 100 }],
        },
        gates: { min_samples: 7, on_inconclusive: 'fail' },
        deadline_ms: 60_000,
        supersede: true,
      },
      context: { by: 'ann', reason: 'new prices', dry_run: false },
    },
  ]);
  expect(served.plane.releases.begun[0]?.context.idempotency_key).not.toBeNull();
});

const FILE = `
target: v2
steps: [{weight: 5}, {pause: 2m}, {weight: 100}]
gates:
  interval: 30s
  latency: {percentile: 99, slack_ms: 5}
  webhooks: [{name: ci, url: "http://ci/hooks/gate"}]
`;

it('starts what a file says, with flags before it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'ebbgate-cli-'));
  const file = join(directory, 'release.yaml');
  writeFileSync(file, FILE);
  const flags = ['--latency-ratio', '1.5', '--max-error-percent', '0.5', '--failure-limit', '2'];
  const started = await ebbgate('release', 'start', 'shop', '-f', file, ...flags, '--latency-slack', '20ms');
  expect(started).toMatchObject({ code: 0, err: '' });
  expect(served.plane.releases.begun[0]?.request).toMatchObject({
    target: 'v2',
    strategy: {
      kind: 'weighted',
      steps: [{ weight: 5 }, { pause: { for_ms: 120_000 } }, { weight: 100 }],
    },
    gates: {
      interval_ms: 30_000,
      failure_limit: 2,
      errors: { max_percent: 0.5, ratio: 2 },
      latency: { percentile: 99, slack_ms: 20, ratio: 1.5 },
      webhooks: [{ name: 'ci', url: 'http://ci/hooks/gate', timeout_ms: 5_000 }],
    },
  });
  const other = await ebbgate('release', 'start', 'shop', 'v3', '-f', file);
  expect(other).toMatchObject({ code: 2, err: expect.stringContaining('v3') as string });
  writeFileSync(file, FILE.replace('99', '98'));
  const odd = await ebbgate('release', 'start', 'shop', '-f', file);
  expect(odd).toMatchObject({ code: 2, err: expect.stringContaining('gates.latency.percentile') as string });
  rmSync(directory, { recursive: true });
});

it('a dry run shows the plan and starts nothing', async () => {
  const shown = await ebbgate('release', 'start', 'shop', 'v2', '--no-gates', '--dry-run');
  expect(shown.code).toBe(0);
  expect(shown.out).toContain('1/3 {weight: 5}        v1 95 %, v2 5 %');
  expect(shown.out).toContain('dry run: nothing was written');
  expect(served.plane.releases.begun[0]).toMatchObject({
    request: { gates: { errors: null, latency: null }, strategy: null },
    context: { dry_run: true },
  });
});

it.each([
  [['pause', 'shop'], { verb: 'pause', expected_step: null, full: false }],
  [['abort', 'rel-1'], { verb: 'abort', expected_step: null, full: false }],
  [['promote', 'shop'], { verb: 'promote', expected_step: 1, full: false }],
  [['promote', 'shop', '--full'], { verb: 'promote', expected_step: 1, full: true }],
  [['retry', 'rel-1', '--step', '3'], { verb: 'retry', expected_step: 2, full: false }],
])('%j moves the newest release', async (words, verb) => {
  served.plane.releases.map.set('rel-1', makeRelease());
  const shown = await ebbgate('release', ...words);
  expect(shown).toMatchObject({ code: 0, err: '' });
  expect(served.plane.releases.moved).toMatchObject([{ id: 'rel-1', verb }]);
});

it.each([
  ['guard_refused', 5],
  ['conflict', 6],
  ['not_leader', 7],
] as const)('%s ends with %i', async (code, exit) => {
  served.plane.releases.map.set('rel-1', makeRelease());
  served.plane.releases.refusal = { code, detail: 'no' };
  expect((await ebbgate('release', 'skip', 'shop')).code).toBe(exit);
});

it.each([
  ['succeeded', 0],
  ['rolled_back', 3],
  ['failed', 3],
  ['cancelled', 3],
  ['superseded', 6],
] as const)('watch of a release that ended %s exits with %i', async (state, exit) => {
  served.plane.releases.map.set(
    'rel-1',
    makeRelease({ state, phase: null, ended_at: '2026-05-01T12:00:00.000Z' }),
  );
  const watched = await ebbgate('release', 'watch', 'rel-1');
  expect(watched.code).toBe(exit);
  expect(watched.out).toContain(`shop v1 → v2  ${state}`);
});

it('lists, shows history, and plans', async () => {
  served.plane.releases.map.set('rel-1', makeRelease());
  expect((await ebbgate('release', 'get')).out).toMatch(/rel-1 +shop +v1 +v2 +progressing, soaking +2\/3/);
  expect((await ebbgate('release', 'history', 'shop')).out).toContain('new prices');
  expect((await ebbgate('release', 'plan', 'shop')).out).toContain('rolls back to v1');
  expect(await ebbgate('release', 'plan', 'nobody')).toMatchObject({ code: 1 });
});

it('undo starts a release to what was stable before the last one that succeeded', async () => {
  expect(await ebbgate('undo', 'shop')).toMatchObject({ code: 1 });
  const ended = '2026-05-01T12:00:00.000Z';
  served.plane.releases.map.set(
    'rel-1',
    makeRelease({ state: 'succeeded', stable: 'v7', phase: null, ended_at: ended }),
  );
  expect(await ebbgate('undo', 'shop')).toMatchObject({ code: 0 });
  expect(served.plane.releases.begun).toMatchObject([
    { request: { target: 'v7', like: 'rel-1', strategy: null } },
  ]);
});

it.each([
  [['release', 'start', 'shop', 'v2', '--steps', '5,x']],
  [['release', 'promote', 'shop', '--step', 'x']],
  [['release', 'start', 'shop']],
  [['release', 'start', 'shop', 'v2', '--no-gates', '--error-ratio', '3']],
  [['release', 'start', 'shop', 'v2', '--error-ratio', 'x']],
  [['release', 'start', 'shop', 'v2', '--interval', '10']],
  [['release', 'start', 'shop', 'v2', '--file', '/nowhere.yaml']],
])('%j is a usage error', async (words) => {
  expect((await ebbgate(...words)).code).toBe(2);
});

it('starts a release in place, and undoes one in the same way', async () => {
  const started = await ebbgate(
    ...['release', 'start', 'shop', 'v2', '--in-place', '--batch', '20%', '--max-unavailable', '2'],
    ...['--max-failed', '1', '--webhook', 'https://ci.example/up', '--call-timeout', '5s'],
    ...['--upgrade-timeout', '3m', '--drain-timeout', '1m', '--soak', '30s'],
  );
  expect(started).toMatchObject({ code: 0, err: '' });
  expect(served.plane.releases.begun[0]?.request).toMatchObject({
    ...{ target: 'v2', like: null },
    strategy: {
      kind: 'in_place',
      ...{ batch: { percent: 20 }, max_unavailable: { count: 2 }, max_failed: 1 },
      upgrade: { webhook: { url: 'https://ci.example/up', timeout_ms: 5_000 } },
      ...{ upgrade_timeout_ms: 180_000, drain_timeout_ms: 60_000, soak_ms: 30_000 },
    },
  });
  await ebbgate('release', 'start', 'shop', 'v2', '--in-place');
  expect(served.plane.releases.begun[1]?.request.strategy).toMatchObject({
    batch: null,
    upgrade: { person: true },
  });
  await ebbgate('release', 'start', 'shop', 'v2', '--in-place', '--command', 'up.sh');
  expect(served.plane.releases.begun[2]?.request.strategy).toMatchObject({
    upgrade: { command: { name: 'up.sh', timeout_ms: 600_000 } },
  });
  served.plane.releases.map.set(
    'rel-1',
    makeRelease({ strategy: 'in_place', state: 'succeeded', stable: 'v1' }),
  );
  await ebbgate('undo', 'shop');
  expect(served.plane.releases.begun[3]?.request).toMatchObject({
    target: 'v1',
    like: 'rel-1',
    strategy: null,
  });
});

it.each([
  ['a batch without --in-place', ['--batch', '2'], '--in-place'],
  ['half an instance', ['--in-place', '--batch', '1.5'], '--batch'],
  [
    'a webhook and a command',
    ['--in-place', '--webhook', 'http://x/', '--command', 'y'],
    'cannot be used with',
  ],
  ['steps and batches', ['--in-place', '--steps', '5,100'], 'neither steps nor like'],
])('refuses %s', async (_name, words, error) => {
  const { code, err } = await ebbgate('release', 'start', 'shop', 'v2', ...words);
  expect(code).toBe(2);
  expect(err).toContain(error);
  expect(served.plane.releases.begun).toEqual([]);
});
