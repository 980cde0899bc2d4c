import { test } from 'vitest';
import type { Limit, ServiceSet } from '../control-plane/src/testkit.js';
import { compareCpu, ROUNDS } from './harness/compare.js';
import { Lab } from './harness/lab.js';
import { median, ratios } from './harness/numbers.js';
import { report, rounded, type Verdict } from './harness/results.js';

/** Limits that are never reached: what counts is what asking them costs. */
const PER_CLIENT: Limit = { name: 'per-client', rate: '1000000/s', key: ['client_ip'] };
const FOUR: readonly Limit[] = [
  PER_CLIENT,
  { name: 'all', rate: '1000000/s' },
  { name: 'per-user', algorithm: 'sliding_window', rate: '100000000/m', key: ['header:x-user'] },
  { name: 'open', algorithm: 'concurrency', burst: 10_000 },
];

/** Breakers that never open, and bounds that are never reached. */
const INSTANCES: Partial<ServiceSet> = {
  health: {
    max_fails: 3,
    fail_timeout_ms: 10_000,
    consecutive_fails: 5,
    failure_percent: 50,
    slow_percent: 50,
  },
};
const SERVICE: Partial<ServiceSet> = { breaker: { failure_percent: 50 } };
const BOUNDS: Partial<ServiceSet> = { concurrency: { max_per_instance: 10_000, max_pending: 10 } };

test('CPU time of limits', async () => {
  await using lab = await Lab.open();
  const subjects = [
    await lab.staticNginx('static nginx'),
    await lab.ebbgateWith('without', {}),
    await lab.ebbgateWith('one limit, by client', { limits: [PER_CLIENT] }),
    await lab.ebbgateWith('four limits', { limits: FOUR }),
    await lab.ebbgateWith('the breaker of instances', INSTANCES),
    await lab.ebbgateWith('the breaker of the service', SERVICE),
    await lab.ebbgateWith('bounds on open requests', BOUNDS),
    await lab.ebbgateWith('four limits and both breakers', { limits: FOUR, ...INSTANCES, ...SERVICE }),
  ];
  const costs = await compareCpu(subjects, lab.host);
  const of = (name: string): readonly number[] => costs.get(name) ?? [];
  /** What `name` costs beyond no limits, in per cent of static nginx. */
  const beyond = (name: string): number => {
    const own = ratios(of(name), of('static nginx'));
    const without = ratios(of('without'), of('static nginx'));
    return rounded(median(own.map((ratio, round) => (ratio - without[round]!) * 100)), 1);
  };
  const verdict = (name: string, limit: number): Verdict => ({
    what: `${name}, beyond no limits, of static nginx, median of ${ROUNDS} rounds`,
    measured: beyond(name),
    limit,
    unit: '%',
  });
  report('limits', {
    title: 'CPU time of limits',
    how: `As above, with the access log. The limits are never reached. The four are two token buckets (one by client), a sliding window by a
header, and a limit of open requests. The breakers never open: that of instances counts failures in a row, failures and slow requests; the bounds are of
each instance, with a queue. ${ROUNDS} rounds, everybody in turn.`,
    columns: ['limits', 'µs per request, median', '× static nginx'],
    rows: subjects.map(({ name }) => [
      name,
      rounded(median(of(name))),
      rounded(median(ratios(of(name), of('static nginx'))), 3),
    ]),
    verdicts: [
      verdict('one limit, by client', 6),
      verdict('four limits', 15),
      verdict('four limits and both breakers', 15),
    ],
  });
});
