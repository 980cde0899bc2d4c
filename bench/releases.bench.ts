import { expect, test } from 'vitest';
import { hasEnded, type ReleaseOutcome, type ReleaseResource } from '../control-plane/src/testkit.js';
import type { RegisteredInstance } from '../e2e/harness/registered_instance.js';
import { ControlledPlatform } from '../e2e/harness/controlled_platform.js';
import { untilValue } from '../e2e/harness/until.js';
import { startUpgrades } from '../e2e/harness/upgrades.js';
import { report, rounded } from './harness/results.js';

const INSTANCES = 10;
const SERVICE = 'shop';

test('a release in place whose upgrades take no time', async () => {
  const instances = new Map<string, RegisteredInstance>();
  // Nothing is restarted: the instance writes the new version into its registration, as if it had been.
  await using upgrades = await startUpgrades(() => Promise.resolve(null), {
    instead: async (id, version) => {
      await instances.get(id)?.become(version);
    },
  });
  await using platform = await ControlledPlatform.start({ env: { EBBGATE_HOOKS: upgrades.url } });
  for (let n = 0; n < INSTANCES; n += 1) {
    const one = await platform.startInstance({ service: SERVICE });
    instances.set(one.id, one);
  }
  await platform.route(SERVICE, '/');
  await using traffic = platform.traffic({ path: '/', rate: 100 });
  const rows = [];
  for (const [batch, target] of [
    [1, 'v2'],
    [2, 'v3'],
  ] as const) {
    const { ms, release } = await releaseOf(platform, batch, target, upgrades.url);
    const { times } = release;
    const batches = INSTANCES / batch;
    const row = [
      batch,
      batches,
      ms,
      times.converging_ms,
      times.draining_ms,
      times.upgrading_ms,
      times.active_ms,
    ];
    rows.push([...row.map((value) => rounded(value, 0)), rounded(ms / batches, 0)]);
  }
  expect(await traffic.stop()).toEqual([]);
  report('releases', {
    title: 'A release in place',
    how: `${String(INSTANCES)} instances behind two gateways, 200 requests per second, a webhook that answers at once and upgrades by writing the new version
into the registration: what is left is what Ebbgate itself waits for. Converging: the drain, and its end, acked by both gateways. Draining: the
proof that nothing is open. Upgrading: the call, the registration and the view of it. Active: those that are back being found well, and
what was written between. By the release's own clock, in milliseconds.`,
    columns: ['batch', 'batches', 'all, ms', 'converging', 'draining', 'upgrading', 'active', 'a batch, ms'],
    rows,
    verdicts: [
      {
        what: 'a batch of one, without its upgrade',
        measured: Number(rows[0]?.at(-1)),
        limit: 5_000,
        unit: 'ms',
      },
    ],
  });
});

async function releaseOf(
  platform: ControlledPlatform,
  batch: number,
  target: string,
  url: string,
): Promise<{ readonly ms: number; readonly release: ReleaseResource }> {
  const began = performance.now();
  const body = { target, in_place: { batch, webhook: { url } } };
  const started = await platform.call<ReleaseOutcome>('POST', `/v1/services/${SERVICE}/releases`, body);
  expect(started, JSON.stringify(started.body)).toMatchObject({ status: 202 });
  const release = await untilValue(
    `the release to ${target}`,
    async () =>
      (await platform.call<ReleaseResource>('GET', `/v1/releases/${started.body.release.id}?wait=30s`)).body,
    ({ state }) => hasEnded(state),
    { timeoutMs: 120_000 },
  );
  expect(release.state, JSON.stringify(release)).toBe('succeeded');
  return { ms: performance.now() - began, release };
}
