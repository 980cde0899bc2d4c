import { test } from 'vitest';
import { compareCpu, ROUNDS, SLICE_MS } from './harness/compare.js';
import { Lab } from './harness/lab.js';
import { median, quantile, ratios } from './harness/numbers.js';
import { report, rounded, type Verdict } from './harness/results.js';

const NO_LOG = { access_log: 'off' } as const;

const WITHOUT_LOG = `what the gateway does by itself is the same 4 to 5 µs with and without the log, and the base is smaller without
it. About half of that is what nginx takes for calling Lua at all, in six phases (the row of bare Lua); the rest is spread over
some thirty small steps (variables, five accesses to shared memory, the table of the request), of which none takes 2 %.`;

test('CPU time of the proxy per request', async () => {
  await using lab = await Lab.open();
  const subjects = [
    await lab.staticNginx('static nginx, access log'),
    await lab.ebbgate('Ebbgate, access log'),
    await lab.staticNginx('static nginx', NO_LOG),
    await lab.bare('nginx with bare Lua', NO_LOG),
    await lab.ebbgate('Ebbgate', NO_LOG),
    await lab.haproxy('HAProxy'),
  ];
  const costs = await compareCpu(subjects, lab.host);
  const rows = subjects.map(({ name }) => {
    const all = costs.get(name)!;
    const toHaproxy = rounded(median(ratios(all, costs.get('HAProxy')!)));
    return [name, rounded(median(all)), rounded(quantile(all, 0)), rounded(quantile(all, 1)), toHaproxy];
  });
  const verdict = (above: string, below: string, limit: number, reason?: string): Verdict => ({
    ...(reason === undefined ? {} : { reason }),
    what: `${above} / ${below}, median of ${ROUNDS} rounds`,
    measured: rounded(median(ratios(costs.get(above)!, costs.get(below)!)), 3),
    limit,
    unit: '×',
  });
  report('cpu', {
    title: 'CPU time per proxied request',
    how: `Time on a core (\`/proc/PID/schedstat\`, user and system) of the one worker, per request. 16 kept connections, each sends as
soon as it has its answer, GET with a small answer, three instances of equal weight. All proxies run all the time and take turns of
${SLICE_MS} ms within one run, so that a disturbance meets all of them; ${ROUNDS} rounds, and ratios are taken round by round. What a proxy does by itself is
measured while nobody asks, and counts for its own turns alone. Static
nginx is the conf of Ebbgate with the Lua taken out and the instances written in: same proxy settings, headers and timeouts. Where
it says access log, both sides write the same JSON lines. HAProxy is Debian's, one thread, the same headers, without a log.
Bare Lua is Ebbgate's conf whose handlers do nothing but choose the next instance: what calling Lua at all costs.
Ebbgate does all it always does: route, generation check, weighted round robin, in-flight count, metrics.`,
    columns: ['proxy', 'µs per request, median', 'least', 'most', '× HAProxy'],
    rows,
    verdicts: [
      verdict('Ebbgate, access log', 'static nginx, access log', 1.35),
      verdict('Ebbgate', 'static nginx', 1.35, WITHOUT_LOG),
    ],
  });
});
