import { expect, it } from 'vitest';
import type { ReleaseRecord } from '../../../../model/release.js';
import type { Amount } from '../../../../model/release_strategy.js';
import { buildFacts, buildRelease, buildWeighted } from '../../../../testing/releases.js';
import { guardStep } from '../../guards.js';
import { neededReady } from './min_ready.js';

const percent = { percent: 75 };
const of = (min_ready: Amount, capacity: number | null): ReleaseRecord =>
  buildRelease({
    state: 'preparing',
    min_ready,
    strategy: buildWeighted([{ weight: 100 }], capacity),
  });

it.each<[Amount, number | null, number, number]>([
  [percent, 3, 5, 1],
  [percent, 10, 50, 4],
  [percent, 2, 100, 2],
  [percent, 10, 100, 8],
  [percent, 0, 100, 1],
  [percent, null, 100, 1],
  [{ count: 3 }, 1, 1, 3],
  [{ percent: 100 }, 3, 34, 2],
  [percent, 10, 0, 0],
])('%j of %j for %i %% is %i', (min_ready, capacity, share, needed) => {
  expect(neededReady(of(min_ready, capacity), share)).toBe(needed);
});

it('one instance is not given what two had: the step waits, and says for what', () => {
  expect(guardStep(of(percent, 2), 0, buildFacts({ ready: { v1: 2, v2: 1 } }))).toEqual([
    '2 ready instances of v2 (there are 1): a share of 100 % needs them by min_ready 75% of 2',
  ]);
  expect(guardStep(of(percent, 2), 0, buildFacts())).toEqual([]);
});
