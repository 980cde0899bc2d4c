import { test } from 'vitest';
import { type Algorithm, ALGORITHMS, type Balancer, type ServiceSet } from '../control-plane/src/testkit.js';
import { compareCpu, ROUNDS } from './harness/compare.js';
import { Lab } from './harness/lab.js';
import { median, ratios } from './harness/numbers.js';
import { report, rounded } from './harness/results.js';

/** Everything that a service can ask for and that costs something while nothing goes wrong. */
const FEATURES: Partial<ServiceSet> = {
  timeouts: { connect_ms: 500, send_ms: 60_000, read_ms: 60_000, try_ms: 5_000, total_ms: 15_000 },
  retry: { tries: 3, budget_percent: 20, budget_min_per_s: 3 },
  health: {
    max_fails: 3,
    fail_timeout_ms: 10_000,
    fail_statuses: [500, 502, 503, 504],
    max_ejected_percent: 50,
    slow_start_ms: 1_000,
    check: { type: 'http', path: '/', interval_ms: 1_000, timeout_ms: 500 },
  },
};

test('CPU time of every algorithm', async () => {
  await using lab = await Lab.open();
  const subjects = [
    await lab.staticNginx('static nginx'),
    await lab.haproxy('HAProxy, no log'),
    ...(await inTurn(ALGORITHMS, (algorithm) =>
      lab.ebbgateWith(algorithm, { ...FEATURES, balancer: balancer(algorithm) }),
    )),
  ];
  const costs = await compareCpu(subjects, lab.host);
  const of = (name: string): readonly number[] => costs.get(name) ?? [];
  const against = (name: string, other: string): number => rounded(median(ratios(of(name), of(other))), 3);
  report('algorithms', {
    title: 'CPU time per request, by algorithm',
    how: `As above, with the access log, and with all that a service can ask for: three tries with a budget, bounds on a try and on the
whole, failures by status, active checks, slow start. ${ROUNDS} rounds, everybody in turn.`,
    columns: ['algorithm', 'µs per request, median', '× static nginx', '× HAProxy'],
    rows: subjects.map(({ name }) => [
      name,
      rounded(median(of(name))),
      against(name, 'static nginx'),
      against(name, 'HAProxy, no log'),
    ]),
    verdicts: [
      {
        what: 'weighted_round_robin with all features / static nginx',
        measured: against('weighted_round_robin', 'static nginx'),
        limit: 1.35,
        unit: '×',
        reason: `checks, budget and bounds add 0.2 to 0.4 µs to the plain comparison above, each of them little by itself.`,
      },
    ],
  });
});

function balancer(algorithm: Algorithm): Balancer {
  return { algorithm, hash_on: { source: 'header', name: 'host' } };
}

async function inTurn<A, B>(all: readonly A[], make: (one: A) => Promise<B>): Promise<readonly B[]> {
  const made: B[] = [];
  for (const one of all) made.push(await make(one));
  return made;
}
