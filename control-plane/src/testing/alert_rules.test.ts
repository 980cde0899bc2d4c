import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';

/*
 * The rules of docs/reference/metrics.md, as Prometheus itself reads them: each fires on series that a gateway or a controller
 * would show with that problem, and stays silent on those of a healthy one.
 */

const page = readFileSync(new URL('../../../docs/reference/metrics.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/^```yaml\n([^]*?)^```/gm)].map(([, text = '']) => text);
const rules = blocks.find((text) => text.startsWith('groups:')) ?? '';
const { groups } = parse(rules) as { groups: readonly { rules: readonly { alert: string }[] }[] };
const alerts = groups.flatMap((group) => group.rules.map(({ alert }) => alert));

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-rules-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
});
const file = join(dir, 'rules.yml');
writeFileSync(file, rules);

function promtool(...args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8', cwd: dir });
  if (error) throw error;
  return status === 0 ? '' : `${stdout}${stderr}`;
}

/** Series by name, as they are while all is well; `x` is repeated for as long as a test looks. */
type Series = Readonly<Record<string, string>>;

const CONTROLLER = '{job="ebbgate-controller"}';
const ofService = (name: string, more = ''): string => `${name}{service="shop"${more}}`;
const WELL: Series = {
  'up{job="ebbgate-gateway",instance="gw-1:9145"}': '1x40',
  'ebbgate_gateway_live{gateway="gw-1"}': '1x40',
  'ebbgate_applied_age_seconds{instance="gw-1:9145"}': '1x40',
  'ebbgate_problem{instance="gw-1:9145",kind="disk"}': '0x40',
  'ebbgate_rejected_sets{instance="gw-1:9145"}': '0x40',
  'ebbgate_uncounted{instance="gw-1:9145"}': '0x40',
  'ebbgate_shared_dict_free_bytes{instance="gw-1:9145",dict="ebb_sets"}': '60000000x40',
  [`ebbgate_controller_ready${CONTROLLER}`]: '1x40',
  [`ebbgate_controller_leading${CONTROLLER}`]: '1x40',
  [`ebbgate_controller_data_loss${CONTROLLER}`]: '0x40',
  [`ebbgate_controller_clock_in_sync${CONTROLLER}`]: '1x40',
  // Promtool's time begins with 1970.
  [`ebbgate_api_certificate_expiry_timestamp_seconds${CONTROLLER}`]: '7776000x40',
  'ebbgate_certificate_expiry_timestamp_seconds{instance="gw-1:9145",name="shop.test"}': '7776000x40',
  [ofService('ebbgate_service_converged')]: '1x40',
  [ofService('ebbgate_instances', ',state="eligible"')]: '2x40',
  [ofService('ebbgate_instances', ',state="healthy"')]: '2x40',
  [ofService('ebbgate_held_instances', ',kind="suspect"')]: '3x40',
  [ofService('ebbgate_panic', ',instance="gw-1:9145"')]: '0x40',
  [ofService('ebbgate_service_problems')]: '0x40',
  [ofService('ebbgate_release', ',target="v2",state="succeeded"')]: '1x40',
  [ofService('ebbgate_requests_total', ',status="2xx"')]: '0+100x40',
  [ofService('ebbgate_requests_total', ',status="5xx"')]: '0+1x40',
};

/** Alert → what differs from a well Ebbgate; null takes a series away. */
const BROKEN: Readonly<Record<string, Readonly<Record<string, string | null>>>> = {
  EbbgateGatewayDown: { 'up{job="ebbgate-gateway",instance="gw-1:9145"}': '0x40' },
  EbbgateGatewayUnknown: { 'ebbgate_gateway_live{gateway="gw-1"}': '0x40' },
  EbbgateGatewayStale: { 'ebbgate_applied_age_seconds{instance="gw-1:9145"}': '0+30x40' },
  EbbgateGatewayProblem: { 'ebbgate_problem{instance="gw-1:9145",kind="disk"}': '1x40' },
  EbbgateSetRejected: { 'ebbgate_rejected_sets{instance="gw-1:9145"}': '1x40' },
  EbbgateUncounted: { 'ebbgate_uncounted{instance="gw-1:9145"}': '1x40' },
  EbbgateMemoryLow: {
    'ebbgate_shared_dict_free_bytes{instance="gw-1:9145",dict="ebb_sets"}': '4096x40',
  },
  // A standby that is ready, and nobody leads.
  EbbgateNoController: { [`ebbgate_controller_leading${CONTROLLER}`]: '0x40' },
  EbbgateClock: { [`ebbgate_controller_clock_in_sync${CONTROLLER}`]: '0x40' },
  EbbgateApiCertificate: { [`ebbgate_api_certificate_expiry_timestamp_seconds${CONTROLLER}`]: '86400x40' },
  EbbgateCertificate: {
    'ebbgate_certificate_expiry_timestamp_seconds{instance="gw-1:9145",name="shop.test"}': '86400x40',
  },
  EbbgateDataLoss: { [`ebbgate_controller_data_loss${CONTROLLER}`]: '1x40' },
  EbbgateNotConverged: { [ofService('ebbgate_service_converged')]: '0x40' },
  EbbgateServiceEmpty: {
    [ofService('ebbgate_instances', ',state="eligible"')]: '0x40',
    [ofService('ebbgate_instances', ',state="healthy"')]: '0x40',
  },
  EbbgateAllVanished: { [ofService('ebbgate_held_instances', ',kind="last"')]: '3x40' },
  EbbgateServiceUnhealthy: { [ofService('ebbgate_instances', ',state="healthy"')]: '0x40' },
  EbbgatePanic: { [ofService('ebbgate_panic', ',instance="gw-1:9145"')]: '1x40' },
  EbbgateProblems: { [ofService('ebbgate_service_problems')]: '1x40' },
  EbbgateReleasePaused: {
    [ofService('ebbgate_release', ',target="v2",state="succeeded"')]: null,
    [ofService('ebbgate_release', ',target="v2",state="paused"')]: '1x40',
  },
  EbbgateReleaseFailed: {
    [ofService('ebbgate_release', ',target="v2",state="succeeded"')]: null,
    [ofService('ebbgate_release', ',target="v2",state="rolled_back"')]: '1x40',
  },
  EbbgateErrors: { [ofService('ebbgate_requests_total', ',status="5xx"')]: '0+50x40' },
};

/** Fails unless exactly `expected` fire at the end, by what Prometheus says. */
function firing(
  name: string,
  differs: Readonly<Record<string, string | null>>,
  expected: readonly string[],
): string {
  const input = Object.entries({ ...WELL, ...differs }).flatMap(([series, values]) =>
    values === null ? [] : [{ series, values }],
  );
  // Whether one fires at all: what its labels and texts are is for a person to read.
  const promql_expr_test = alerts.map((alert) => ({
    expr: `count by (alertname) (ALERTS{alertstate="firing",alertname="${alert}"})`,
    eval_time: '20m',
    exp_samples: expected.includes(alert) ? [{ labels: `{alertname="${alert}"}`, value: 1 }] : [],
  }));
  const test = join(dir, `${name}.yml`);
  const tests = [{ interval: '30s', input_series: input, promql_expr_test }];
  writeFileSync(test, stringify({ rule_files: [file], evaluation_interval: '30s', tests }));
  return promtool('test', 'rules', test);
}

it('are rules to promtool, and all of them are tried here', () => {
  expect(promtool('check', 'rules', file)).toBe('');
  expect(Object.keys(BROKEN).sort()).toEqual([...alerts].sort());
});

it('stay silent while all is well', () => {
  expect(firing('well', {}, [])).toBe('');
});

it.each(Object.entries(BROKEN))('%s fires, and no other', (alert, differs) => {
  expect(firing(alert, differs, [alert])).toBe('');
});
