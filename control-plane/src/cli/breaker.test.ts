import { expect, it } from 'vitest';
import { makeService } from '../testing/resources.js';
import { ebbgate as runEbbgate, served, useApi } from '../testing/cli_rig.js';

useApi();

const ebbgate = (...words: readonly string[]) => runEbbgate(words, { env: { EBBGATE_ACTOR: 'ann' } });

it.each([
  [
    ['breaker', 'shop', 'open', '--for', '30m', '--reason', 'it moves'],
    'open',
    { reason: 'it moves', expires_ms: 1_800_000, dry_run: false },
  ],
  [
    ['breaker', 'shop', 'close', '--reason', 'meant', '--dry-run'],
    'closed',
    { reason: 'meant', expires_ms: null, dry_run: true },
  ],
  [['breaker', 'shop', 'auto'], 'auto', { expires_ms: null, dry_run: false }],
])('%j', async (words, state, context) => {
  expect(await ebbgate(...words)).toMatchObject({ code: 0, err: '' });
  const mutation = { kind: 'breaker', service: 'shop', state };
  expect(served.plane.mutated).toMatchObject([{ mutation, context: { by: 'ann', ...context } }]);
});

it.each([
  [['breaker', 'shop', 'open']],
  [['breaker', 'shop', 'close', '--for', '1h']],
  [['breaker', 'shop', 'half', '--reason', 'x']],
  [['breaker', 'shop', '--reason', 'x']],
])('%j is a usage error, and says nothing', async (words) => {
  expect((await ebbgate(...words)).code).toBe(2);
  expect(served.plane.mutated).toEqual([]);
});

it('describe shows who forced it, and on which gateways it is open', async () => {
  const forced = {
    state: 'open' as const,
    ...{ by: 'ann', reason: 'it moves' },
    ...{ since: '2026-05-01T12:00:00Z', until: '2026-05-01T12:30:00Z' },
  };
  const gateways = [
    { gateway: 'gw-1', state: 'open', reason: '60% of 20 requests failed', since: '2026-05-01T11:59:00Z' },
  ];
  served.plane.serviceMap.set('shop', makeService({ service: 'shop', breaker: { forced, gateways } }));
  const { out } = await ebbgate('describe', 'service', 'shop');
  expect(out).toMatch(/Breaker: +forced open by ann at 2026-05-01T12:00:00Z, until .*, because: it moves/);
  expect(out).toContain('open on gw-1 since 2026-05-01T11:59:00Z: 60% of 20 requests failed');
});
