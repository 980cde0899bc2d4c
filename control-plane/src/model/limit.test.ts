import { describe, expect, it } from 'vitest';
import { type FilledLimit, LIMIT_ALGORITHMS, limitContradiction } from './limit.js';

const limit: FilledLimit = {
  ...{ name: 'all', algorithm: 'token_bucket', scope: 'gateway', key: [], rate: '10/s', burst: 0 },
  ...{ queue: 0, cost: 1, status: 429, mode: 'enforce', exempt: [], exempt_consumers: [], routes: [] },
};

describe('a limit of all gateways together', () => {
  it('is a token bucket', () => {
    expect(limitContradiction({ ...limit, scope: 'cluster' })).toBeNull();
  });

  it.each(LIMIT_ALGORITHMS.filter((one) => one !== 'token_bucket'))('is refused with %s', (algorithm) => {
    const rest = algorithm === 'concurrency' ? { rate: null, burst: 3 } : {};
    expect(limitContradiction({ ...limit, ...rest, algorithm })).toBeNull();
    expect(limitContradiction({ ...limit, ...rest, algorithm, scope: 'cluster' })).toEqual([
      'scope',
      `cluster goes with algorithm token_bucket only, not with ${algorithm}: leave scope out`,
    ]);
  });
});
