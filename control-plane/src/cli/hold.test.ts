import { expect, it } from 'vitest';
import { makeService } from '../testing/resources.js';
import { ebbgate as runEbbgate, served, useApi } from '../testing/cli_rig.js';

useApi();

const ebbgate = (...words: readonly string[]) => runEbbgate(words, { env: { EBBGATE_ACTOR: 'ann' } });

it.each([
  [
    ['hold', 'shop', '--for', '30m', '--reason', 'they answer'],
    { kind: 'hold', service: 'shop' },
    { reason: 'they answer', expires_ms: 1_800_000, dry_run: false },
  ],
  [
    ['accept', 'shop', '--reason', 'switched off', '--dry-run'],
    { kind: 'accept', service: 'shop' },
    { reason: 'switched off', expires_ms: null, dry_run: true },
  ],
])('%j', async (words, mutation, context) => {
  expect(await ebbgate(...words)).toMatchObject({ code: 0, err: '' });
  expect(served.plane.mutated).toMatchObject([{ mutation, context: { by: 'ann', ...context } }]);
});

it.each([
  [['hold', 'shop', '--reason', 'they answer']],
  [['hold', 'shop', '--for', '30m']],
  [['hold', 'shop', '--for', 'long', '--reason', 'they answer']],
  [['hold', '--for', '30m', '--reason', 'they answer']],
  [['accept', 'shop']],
  [['accept', '--reason', 'gone']],
])('%j is a usage error, and says nothing', async (words) => {
  expect((await ebbgate(...words)).code).toBe(2);
  expect(served.plane.mutated).toEqual([]);
});

it('describe shows every hold with what is kept, why, until when and the next command', async () => {
  const hold = {
    kind: 'suspect',
    ...{ instances: ['a', 'b'], since: '2026-05-01T12:00:00Z' },
    ...{ until: '2026-05-01T12:01:00Z', by: null, reason: null },
    message: '2 instances vanished: ebbgate accept shop --reason …',
  } as const;
  served.plane.serviceMap.set('shop', makeService({ service: 'shop', holds: [hold] }));
  const { out } = await ebbgate('describe', 'service', 'shop');
  expect(out).toMatch(/Protection: +suspect: 2 instances vanished: ebbgate accept shop --reason …/);
});
