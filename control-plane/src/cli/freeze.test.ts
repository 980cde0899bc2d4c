import { expect, it } from 'vitest';
import { ebbgate as runEbbgate, served, useApi } from '../testing/cli_rig.js';

useApi();

const ebbgate = (...words: readonly string[]) => runEbbgate(words, { env: { EBBGATE_ACTOR: 'ann' } });

it.each([
  [
    ['freeze', 'shop', '--reason', 'payday', '--expires', '2h'],
    { kind: 'freeze', service: 'shop' },
    7_200_000,
  ],
  [['unfreeze', 'shop'], { kind: 'unfreeze', service: 'shop' }, null],
  [['freeze', '--all', '--reason', 'payday'], { kind: 'freeze_all' }, null],
  [['unfreeze', '--all', '--reason', 'over'], { kind: 'unfreeze_all' }, null],
])('%j', async (words, mutation, expires_ms) => {
  expect(await ebbgate(...words)).toMatchObject({ code: 0, err: '' });
  expect(served.plane.mutated).toMatchObject([{ mutation, context: { by: 'ann', expires_ms } }]);
});

it.each([
  [['freeze', '--reason', 'payday']],
  [['freeze', 'shop', '--all', '--reason', 'payday']],
  [['freeze', 'shop']],
  [['unfreeze']],
])('%j is a usage error, and freezes nothing', async (words) => {
  expect((await ebbgate(...words)).code).toBe(2);
  expect(served.plane.mutated).toEqual([]);
});
