import { strategyContract } from './strategy.contract.js';

strategyContract({
  request: {
    kind: 'weighted',
    steps: [{ weight: 10 }, { pause: { for_ms: 3_000 } }, { weight: 50 }, { weight: 100 }],
  },
  instances: { i1: 'v1', i2: 'v1', i3: 'v2', i4: 'v2' },
});

strategyContract({
  request: {
    kind: 'in_place',
    ...{ batch: null, max_unavailable: null, max_failed: null },
    upgrade: { webhook: { url: 'http://127.0.0.1/upgrade', timeout_ms: 1_000 } },
    ...{ upgrade_timeout_ms: null, drain_timeout_ms: null, soak_ms: 3_000, stragglers: null },
  },
  instances: { i1: 'v1', i2: 'v1', i3: 'v1' },
});
