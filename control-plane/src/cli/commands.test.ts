import { systemClock } from '../clock.js';
import { NEXT } from './failure.js';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createApi, type Api } from '../api/server.js';
import type { ServiceSpec } from '../model/intent.js';
import { PROBLEMS, type ProblemCode } from '../model/problem.js';
import { effectiveSpec } from '../plan/spec.js';
import { createRecordingLog } from '../testing/log.js';
import { MemoryPlane } from '../testing/memory_plane.js';
import { createRecordingTerminal } from '../testing/recording_terminal.js';
import {
  AT,
  ended,
  makeGateway,
  makeInstance,
  makeOperation,
  makeProblem,
  makeService,
} from '../testing/resources.js';
import { addApiCommands, createProgram, run } from './program.js';

let plane: MemoryPlane;
let api: Api;
let url: string;

function listen(port = 0, token: string | null = null): Api {
  return createApi({
    plane,
    log: createRecordingLog(),
    token,
    listen: { host: '127.0.0.1', port },
    clock: systemClock,
    version: '1',
    randomId: () => 'req-1',
    metrics: () => Promise.resolve(''),
  });
}

beforeEach(async () => {
  plane = new MemoryPlane().add('shop', ['a', 'b']);
  api = listen();
  await api.start();
  url = `http://127.0.0.1:${String(api.address().port)}`;
});
afterEach(() => api.close());

/** Starts `ebbgate` with these words; the terminal is at hand at once, the exit code when it ends. */
function start(line: string, parts: Parameters<typeof createRecordingTerminal>[0] = {}) {
  const terminal = createRecordingTerminal({ ...parts, env: { EBBGATE_API: url, ...parts.env } });
  const program = createProgram('9.9.9', terminal);
  addApiCommands(program, terminal);
  return { terminal, code: run(program, line.split(' '), terminal) };
}

/** Runs `ebbgate` to its end. */
async function ebbgate(line: string, parts: Parameters<typeof createRecordingTerminal>[0] = {}) {
  const { terminal, code } = start(line, parts);
  return { code: await code, out: terminal.stdout(), err: terminal.stderr() };
}

/** Polls: the machine may be busy. */
const until = <T>(read: () => T) => expect.poll(read, { timeout: 15_000 });

/** What the only mutation was. */
function mutation() {
  expect(plane.mutated).toHaveLength(1);
  return plane.mutated[0]!;
}

describe('get', () => {
  beforeEach(() => {
    plane.add('api', ['10.0.0.1:80'], { version: 'v2', persistent: true });
    plane.serviceMap.set(
      'api',
      makeService({
        service: 'api',
        etag: null,
        instances: { total: 3, eligible: 1, healthy: 1, draining: 1, isolated: 1, other: 0 },
        effective_shares: { v2: 20, v1: 80 },
        convergence: {
          service: 'api',
          target: { epoch: 7, generation: 12 },
          converged: false,
          gateways: [
            { id: 'gw-a', applied: { epoch: 7, generation: 12 }, state: 'acked' },
            { id: 'gw-b', applied: null, state: 'unknown' },
          ],
        },
        problems: [makeProblem({ service: 'api' }), makeProblem({ severity: 'note' })],
      }),
    );
    plane.gatewayList = [
      makeGateway(),
      makeGateway({
        id: 'gw-b',
        state: 'unknown',
        workers: null,
        applied: null,
        behind: null,
        in_flight: null,
      }),
    ];
    plane.operationMap.set('op-1', makeOperation());
    plane.operationMap.set('op-2', ended(makeOperation({ id: 'op-2', reason: 'kernel' }), 'drained'));
    plane.problemList = [
      makeProblem({ code: 'bad_service_name', service: null, path: '/services/my shop' }),
      makeProblem(),
    ];
    plane.intentList = [
      {
        service: 'shop',
        instance: 'a',
        kind: 'weight',
        value: '5',
        by: 'ann',
        reason: 'slow',
        since: AT,
        until: null,
      },
    ];
    plane.eventMap.set('shop', [
      { at: AT, event: 'drained', by: 'controller', instance: 'a', message: 'evil \u001b[2J \n text' },
    ]);
  });

  it.each([
    ['get services'],
    ['get services shop -o wide'],
    ['get instances'],
    ['get instances shop -o wide'],
    ['get gateways'],
    ['get operations'],
    ['get intents'],
    ['get problems'],
    ['get problems shop'],
    ['events shop'],
    ['describe service api'],
    ['describe instance -s shop a'],
    ['describe instance -s api 10.0.0.1:80'],
    ['describe gateway gw-b'],
    ['describe operation op-1'],
  ])('%s', async (line) => {
    const { code, out, err } = await ebbgate(line);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(`\n${out}`).toMatchSnapshot();
  });

  it('prints what the API says as JSON and as YAML', async () => {
    const expected = { items: [plane.instance('api', '10.0.0.1:80')] };
    expect(JSON.parse((await ebbgate('get instances api -o json')).out)).toEqual(expected);
    expect(parse((await ebbgate('get instances -s api -o yaml')).out)).toEqual(expected);
    expect(JSON.parse((await ebbgate('describe gateway gw-a -o json')).out)).toEqual(makeGateway());
  });

  it('says on stderr that there is nothing, and an empty list to programs', async () => {
    plane.intentList = [];
    expect(await ebbgate('get intents')).toEqual({ code: 0, out: '', err: 'no intents\n' });
    expect(JSON.parse((await ebbgate('get intents -o json')).out)).toEqual({ items: [] });
  });

  it('watches: adds changed lines, and redraws on a terminal', async () => {
    const plain = start('get instances -s shop -w');
    const drawn = start('get instances -s shop -w', { tty: true });
    await until(plain.terminal.stdout).toMatch(/shop +b/);
    await until(drawn.terminal.stdout).toMatch(/shop +b/);
    const before = plain.terminal.stdout();
    plane.instanceMap.set('shop', [
      makeInstance({ id: 'a' }),
      makeInstance({ id: 'b', effective: { ...makeInstance().effective, state: 'draining', weight: 0 } }),
    ]);
    await until(plain.terminal.stdout).toMatch(/draining/);
    await until(drawn.terminal.stdout).toMatch(/draining/);
    plain.terminal.interrupt();
    drawn.terminal.interrupt();
    expect([await plain.code, await drawn.code]).toEqual([0, 0]);
    expect(plain.terminal.stdout().slice(before.length)).toMatch(/^shop +b +v1 +draining[^\n]+\n$/);
    expect(drawn.terminal.stdout().split('\u001b[2J\u001b[H')).toHaveLength(3);
  });
});

describe('verbs on instances', () => {
  it('drains instances with all circumstances', async () => {
    const { code, out } = await ebbgate(
      'drain -s shop a b --timeout 90s --on-timeout cut --reason kernel --expires 2h --force',
    );
    expect(code).toBe(0);
    expect(mutation()).toEqual({
      mutation: {
        kind: 'drain',
        selector: { service: 'shop', ids: ['a', 'b'] },
        timeout_ms: 90_000,
        on_timeout: 'cut',
      },
      context: {
        by: 'ann',
        reason: 'kernel',
        dry_run: false,
        force: true,
        if_match: null,
        idempotency_key: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
        expires_ms: 7_200_000,
      },
    });
    expect(out).toBe(
      'shop/a  state: before → drain\nshop/b  state: before → drain\noperation op-1\nnext: ebbgate wait operation op-1\n',
    );
  });

  it.each([
    ['drain --version v1', { version: 'v1' }],
    ['undrain -s shop --version v1', { service: 'shop', version: 'v1' }],
    ['isolate --host 10.0.1.7', { host: '10.0.1.7' }],
    ['restore --zone a', { zone: 'a' }],
  ])('%s selects', async (line, selector) => {
    expect((await ebbgate(line)).code).toBe(0);
    expect(mutation().mutation).toMatchObject({ kind: line.split(' ')[0], selector });
  });

  it('shows a dry run and says that it was one', async () => {
    const { code, out } = await ebbgate('drain -s shop a --dry-run');
    expect(code).toBe(0);
    expect(out).toBe('shop/a  state: before → drain\ndry run: nothing was written\n');
    expect(mutation().context.dry_run).toBe(true);
  });

  it('takes the actor from EBBGATE_ACTOR', async () => {
    await ebbgate('undrain -s shop a', { env: { EBBGATE_ACTOR: 'bot@ci' } });
    expect(mutation().context.by).toBe('bot@ci');
  });
});

describe('drain --wait', () => {
  const running = makeOperation({ targets: [['shop', 'a']] });

  it('adds a line per change and ends when the last request is gone', async () => {
    const { terminal, code } = start('drain -s shop a --wait');
    await until(terminal.stdout).toMatch(/in-flight gw-a=1 gw-b=0 {2}waits for: gw-a has 1 open request/);
    plane.change((p) => p.operationMap.set('op-1', ended(running, 'drained')));
    expect(await code).toBe(0);
    expect(terminal.stdout()).toBe(
      [
        'shop/a  state: before → drain',
        'operation op-1',
        'shop/a  draining  in-flight gw-a=1 gw-b=0  waits for: gw-a has 1 open request',
        'shop/a  drained  in-flight gw-a=0 gw-b=0',
        'drained: none of the 2 gateways (gw-a, gw-b) has an open request for it',
        '',
      ].join('\n'),
    );
  });

  it.each([
    [['gw-a'], [], 'drained: gateway gw-a does not have an open request for it\n'],
    [[], [], 'drained: no gateway is left that could have an open request for it\n'],
    [
      ['gw-a', 'gw-b'],
      [{ id: 'gw-c', at: '2026-11-21T00:00:00.000Z', how: 'left' as const }],
      'drained: none of the 2 gateways (gw-a, gw-b) has an open request for it\n' +
        'not asked: gw-c (left 2026-11-21T00:00:00.000Z); such a gateway may serve again when it starts\n',
    ],
  ])('names who was asked (%j) and who was not', async (asked, not_asked, said) => {
    const over = { ...ended(running, 'drained'), gateways: { asked, not_asked } };
    plane.operationMap.set('op-1', over);
    const { code, out } = await ebbgate('wait operation op-1');
    expect(code).toBe(0);
    expect(out.endsWith(said)).toBe(true);
  });

  it('redraws in place on a terminal', async () => {
    const { terminal, code } = start('drain -s shop a --wait', { tty: true });
    await until(terminal.stdout).toMatch(/waits for/);
    plane.change((p) => p.operationMap.set('op-1', ended(running, 'drained')));
    expect(await code).toBe(0);
    expect(terminal.stdout()).toContain('\u001b[3A\u001b[0Joperation op-1: drained\n  shop/a  drained');
  });

  it('prints nothing but the end for programs', async () => {
    const { terminal, code } = start('drain -s shop a --wait -o json');
    await until(() => plane.waiting).toBe(1);
    plane.change((p) => p.operationMap.set('op-1', ended(running, 'drained')));
    expect(await code).toBe(0);
    expect(JSON.parse(terminal.stdout())).toMatchObject({ id: 'op-1', result: 'drained' });
    expect(terminal.stderr()).toBe('');
  });

  it.each([
    ['unproven', 4],
    ['timed_out', 4],
    ['cut', 4],
    ['undrained', 4],
    ['cancelled', 6],
    ['superseded', 6],
  ] as const)('fails when it ends %s', async (result, exit) => {
    const { terminal, code } = start('drain -s shop a --wait --timeout 1s');
    await until(() => plane.waiting).toBe(1);
    plane.change((p) => p.operationMap.set('op-1', ended(running, result)));
    expect(await code).toBe(exit);
    expect(terminal.stderr()).toMatch(
      new RegExp(
        `ended ${result}, not drained\n {2}shop/a had 1 open requests\n {2}waited for: gw-a has 1 open request`,
      ),
    );
  });

  it('survives a restart of the API, and says so', async () => {
    const { port } = api.address();
    const { terminal, code } = start('drain -s shop a --wait --timeout 60s');
    await until(() => plane.waiting).toBe(1);
    await api.close();
    await expect
      .poll(terminal.stderr)
      .toMatch(/cannot be reached: ECONNREFUSED; trying again until the time-out\n/);
    plane.view = false;
    api = listen(port);
    await api.start();
    await until(() => plane.waiting).toBe(0);
    plane.view = true;
    await until(terminal.stderr).toMatch(/the control API is back\n/);
    plane.change((p) => p.operationMap.set('op-1', ended(running, 'drained')));
    expect(await code).toBe(0);
    expect(terminal.stderr().match(/trying again/g)).toHaveLength(1);
  });

  it('leaves the drain going at Ctrl-C and says how to come back', async () => {
    const { terminal, code } = start('drain -s shop a --wait');
    await until(() => plane.waiting).toBe(1);
    terminal.interrupt();
    expect(await code).toBe(130);
    expect(terminal.stderr()).toContain('next: ebbgate wait operation op-1');
    await until(() => plane.waiting).toBe(0);
  });
});

describe('set', () => {
  it.each<[string, object]>([
    [
      'set service shop balancer.algorithm=ewma health.max_fails=5 retry.non_idempotent=true',
      {
        balancer: { algorithm: 'ewma' },
        health: { max_fails: 5 },
        retry: { non_idempotent: true },
      },
    ],
    [
      'set service shop timeouts.try_ms=500ms timeouts.read_ms=10s timeouts.send_ms=60000 balancer.sticky.max_age_s=1h',
      {
        timeouts: { try_ms: 500, read_ms: 10_000, send_ms: 60_000 },
        balancer: { sticky: { max_age_s: 3_600 } },
      },
    ],
    [
      'set service shop health.fail_statuses=500,503 health.check.statuses=200-299,304 health.check.body=a=b',
      {
        health: {
          fail_statuses: [500, 503],
          check: {
            statuses: [
              [200, 299],
              [304, 304],
            ],
            body: 'a=b',
          },
        },
      },
    ],
    [
      'set service shop retry= health.check= timeouts.total_ms= min_available=2',
      { retry: null, health: { check: null }, timeouts: { total_ms: null }, min_available: 2 },
    ],
  ])('%s', async (line, spec) => {
    expect((await ebbgate(`${line} --reason try`)).code).toBe(0);
    expect(mutation()).toEqual({
      mutation: { kind: 'patch_spec', service: 'shop', spec },
      context: expect.objectContaining({ if_match: '*', reason: 'try', dry_run: false }) as unknown,
    });
  });

  it('takes a merge patch from a file', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'ebbgate-set-')), 'spec.yaml');
    writeFileSync(file, 'retry:\n  tries: 3\nhealth: null\n');
    expect((await ebbgate(`set service shop -f ${file} --dry-run`)).code).toBe(0);
    expect(mutation().mutation).toMatchObject({ spec: { retry: { tries: 3 }, health: null } });
    writeFileSync(file, '- a\n');
    expect(await ebbgate(`set service shop -f ${file}`)).toMatchObject({ code: 2 });
    expect(await ebbgate(`set service shop -f ${file}x`)).toMatchObject({ code: 2 });
    rmSync(dirname(file), { recursive: true });
  });

  it.each([
    ['set service shop', /PATH=VALUE/],
    ['set service shop retry.tries', /"retry.tries" is not of the form PATH=VALUE/],
    ['set service shop retry.trees=3', /retry.trees is not known; known: retry.tries, retry.on/],
    ['set service shop routes=x', /routes is not known; known: balancer, /],
    ['set service shop retry.tries=many', /retry.tries must be a whole number, not "many"/],
    ['set service shop retry.tries=3s', /retry.tries must be a whole number, not "3s"/],
    [
      'set service shop timeouts.read_ms=soon',
      /read_ms must be a whole number, or a whole number and a unit/,
    ],
    ['set service shop balancer.sticky.max_age_s=1500ms', /max_age_s must be/],
    ['set service shop retry.non_idempotent=yes', /must be true or false/],
    ['set service shop health.fail_statuses=500,x', /whole numbers like 500,503/],
    ['set service shop health.check.statuses=200-', /ranges like 200-299,304/],
    ['set service shop health.check=on', /given by its members \(type, path/],
    ['set service shop retry.tries=2 retry.tries=3', /given twice/],
    ['set service shop retry= retry.tries=3', /contradicts an earlier word/],
    ['set service shop retry.tries=3 retry=', /given twice/],
    ['set service shop retry.tries=9', /body.retry.tries must be at most 5/],
    ['set service shop balancer.algorithm=best', /body.balancer.algorithm must be/],
    ['set service shop constructor=1', /constructor is not known/],
    ['set instance -s shop a', /missing required argument/],
    ['set instance a backup=true', /--service/],
    ['set instance -s shop a backup=maybe', /neither backup=true, backup=false/],
  ])('%s is refused, and it says why', async (line, why) => {
    const { code, err } = await ebbgate(line);
    expect(code).toBe(2);
    expect(err).toMatch(why);
    expect(plane.mutated).toEqual([]);
  });

  it('does not make a service out of a typing error', async () => {
    expect(await ebbgate('set service shpo retry.tries=3')).toMatchObject({ code: 1 });
    expect(plane.mutated).toEqual([]);
  });

  it('makes an instance a backup, and takes it back', async () => {
    expect((await ebbgate('set instance -s shop a backup=true weight=7 --expires 1h')).code).toBe(0);
    expect((await ebbgate('set instance -s shop a backup= weight=')).code).toBe(0);
    expect(plane.mutated.map((call) => call.mutation)).toEqual([
      { kind: 'set_weights', service: 'shop', weights: { a: 7 }, backups: { a: true } },
      { kind: 'set_weights', service: 'shop', weights: { a: null }, backups: { a: null } },
    ]);
  });

  it('drains that keep sticky clients', async () => {
    expect((await ebbgate('drain -s shop a --keep-sticky 10m')).code).toBe(0);
    expect(mutation().mutation).toMatchObject({ kind: 'drain', keep_sticky_ms: 600_000 });
  });

  it('what describe shows as decided is what set takes', async () => {
    const decided: ServiceSpec = {
      balancer: {
        algorithm: 'consistent_hash',
        hash_on: { source: 'header', name: 'x-user' },
        sticky: { cookie: 'at', max_age_s: 3_600 },
      },
      timeouts: { try_ms: 1_500 },
      retry: { on: 'gateway_error' },
      health: {
        fail_statuses: [500, 503],
        check: {
          type: 'http',
          path: '/h',
          statuses: [
            [200, 299],
            [304, 304],
          ],
        },
      },
      upstream: { scheme: 'https', tls: 'inside' },
      min_available: 2,
    };
    const spec = effectiveSpec(decided);
    plane.serviceMap.set('shop', makeService({ service: 'shop', spec }));
    const { out } = await ebbgate('describe service shop');
    const shown = /^Decided:([^]*?)^By default:/m.exec(out)?.[1]?.trim().split(/\s+/) ?? [];
    expect(shown).toContain('timeouts.try_ms=1500ms');
    expect(out).toMatch(/timeouts: connect_ms=500ms send_ms=1m read_ms=1m total_ms=0s\n/);
    expect((await ebbgate(`set service shop ${shown.join(' ')}`)).code).toBe(0);
    expect(plane.mutated.at(-1)?.mutation).toMatchObject({ spec: decided });
  });

  it('shows what each gateway finds of an instance', async () => {
    const health = [{ gateway: 'gw-a', state: 'ejected', reason: '3 failures', since: AT }];
    plane.instanceMap.set('shop', [makeInstance({ id: 'a', health })]);
    const { out } = await ebbgate('describe instance -s shop a');
    expect(out).toMatch(/Health: +gw-a ejected since 2026-01-02T03:04:05.000Z: 3 failures\n +gw-b healthy\n/);
    expect((await ebbgate('get instances shop -o wide')).out).toMatch(/ gw-a:ejected /);
  });
});

describe('weight and route', () => {
  it('sets weights, several at once, and takes them back', async () => {
    expect((await ebbgate('weight shop a=5 b=default --reason slow --expires 1h')).code).toBe(0);
    const { mutation: sent, context } = mutation();
    expect(sent).toEqual({ kind: 'set_weights', service: 'shop', weights: { a: 5, b: null } });
    expect(context).toMatchObject({ if_match: '*', reason: 'slow', expires_ms: 3_600_000 });
  });

  it.each([
    ['weight shop --version v2=20,v1=80', { v2: 20, v1: 80 }],
    ['weight shop --version none', {}],
  ])('%s sets shares', async (line, versions) => {
    expect((await ebbgate(line)).code).toBe(0);
    expect(mutation().mutation).toEqual({ kind: 'set_versions', service: 'shop', versions });
  });

  it('adds a route to those that are there, under the etag that was read', async () => {
    expect((await ebbgate('route shop --host api.example.com --path /x')).code).toBe(0);
    const { mutation: sent, context } = mutation();
    expect(sent).toMatchObject({
      spec: {
        routes: [
          { host: '*', path: '/' },
          { host: 'api.example.com', path: '/x' },
        ],
      },
    });
    expect(context.if_match).toBe('17-3');
    expect((await ebbgate('route shop --path / --remove')).code).toBe(0);
    expect(plane.service('shop')?.spec.routes).toEqual([{ host: 'api.example.com', path: '/x' }]);
  });

  it('gives up on a route after three stale reads', async () => {
    plane.refusal = { code: 'precondition_failed', detail: 'changed' };
    const { code, err } = await ebbgate('route shop --path /x');
    expect(code).toBe(6);
    expect(err).toContain('precondition_failed: changed');
    expect(plane.mutated).toHaveLength(3);
  });

  it('waits until every gateway follows', async () => {
    const state = { service: 'shop', target: { epoch: 7, generation: 12 }, converged: false, gateways: [] };
    plane.convergenceMap.set('shop', state);
    const { terminal, code } = start('weight shop a=5 --wait --timeout 60s');
    await until(() => plane.waiting).toBe(1);
    plane.change((p) => p.convergenceMap.set('shop', { ...state, converged: true }));
    expect(await code).toBe(0);
    expect(terminal.stdout()).toMatch(/shop: 0 gateways follow it\n$/);
  });
});

describe('wait', () => {
  it('ends with 4 and says what it waited for', async () => {
    plane.operationMap.set('op-1', makeOperation());
    plane.convergenceMap.set('shop', {
      service: 'shop',
      target: { epoch: 7, generation: 12 },
      converged: false,
      gateways: [{ id: 'gw-b', applied: null, state: 'unknown' }],
    });
    plane.instanceMap.set('shop', [
      makeInstance({ id: 'a', drain: { drained: false, waiting_for: ['gw-a has 2'], in_flight: 2 } }),
    ]);
    for (const [line, waits] of [
      ['wait operation op-1', 'gw-a has 1 open request'],
      ['wait convergence shop', 'gateway gw-b is unknown'],
      ['wait drained -s shop a', 'gw-a has 2'],
    ] as const) {
      const { code, err } = await ebbgate(`${line} --timeout 50ms`);
      expect(code).toBe(4);
      expect(err).toContain(`waits for: ${waits}\n  next: ebbgate ${line}\n`);
    }
  });

  it('waits for an instance to be drained', async () => {
    const drain = { drained: false, waiting_for: ['x'], in_flight: 1 };
    plane.instanceMap.set('shop', [makeInstance({ id: 'a', drain })]);
    const { terminal, code } = start('wait drained -s shop a');
    plane.instanceMap.set('shop', [makeInstance({ id: 'a', drain: { ...drain, drained: true } })]);
    expect(await code).toBe(0);
    expect(terminal.stdout()).toBe('shop/a: drained\n');
  });

  it('waits for a gateway that is heard, follows everything, and is another start than before', async () => {
    plane.gatewayList = [makeGateway({ boot: 'b1' })];
    expect(await ebbgate('wait gateway gw-a')).toMatchObject({
      code: 0,
      out: 'gateway gw-a is heard and follows everything\n',
    });
    const { terminal, code } = start('wait gateway gw-a --not-boot b1');
    plane.gatewayList = [];
    plane.gatewayList = [makeGateway({ boot: 'b2', behind: 1 })];
    plane.gatewayList = [makeGateway({ boot: 'b2' })];
    expect(await code).toBe(0);
    expect(terminal.stdout()).toContain('follows everything');
  });

  it.each<[string, Parameters<typeof makeGateway>[0] | null, string]>([
    ['nobody has heard', null, 'gateway gw-a to be heard'],
    ['is silent', { state: 'unknown' }, 'gateway gw-a to be heard: it is unknown'],
    ['has not started again', { boot: 'b1' }, 'gateway gw-a to start again'],
    ['is behind', { boot: 'b2', behind: 2 }, 'gateway gw-a to follow what is published'],
    [
      'rejects a set',
      { boot: 'b2', rejected: [{ service: 'shop', generation: 3, code: 'unknown_version' }] },
      'gateway gw-a, which rejects shop (unknown_version)',
    ],
  ])('ends with 4 for a gateway that %s', async (_, gateway, waits) => {
    plane.gatewayList = gateway === null ? [] : [makeGateway(gateway)];
    const { code, err } = await ebbgate('wait gateway gw-a --not-boot b1 --timeout 50ms');
    expect(code).toBe(4);
    expect(err).toContain(`waits for: ${waits}\n  next: ebbgate wait gateway gw-a\n`);
  });

  it('does not wait for what is not drained at all', async () => {
    const { code, err } = await ebbgate('wait drained -s shop b');
    expect(code).toBe(1);
    expect(err).toContain('next: ebbgate drain -s shop b');
  });
});

it('forgets gateways, lets them leave, cancels operations', async () => {
  plane.operationMap.set('op-1', makeOperation());
  expect(await ebbgate('gateway forget gw-a --reason burnt')).toMatchObject({
    code: 0,
    out: 'gateway gw-a is forgotten\n',
  });
  expect(await ebbgate('gateway leave gw-a')).toMatchObject({ code: 0, out: 'gateway gw-a has left\n' });
  expect(await ebbgate('cancel op-1')).toMatchObject({ code: 0, out: 'operation op-1 is cancelled\n' });
  expect(await ebbgate('gateway forget gw-a gw-b --reason burnt')).toMatchObject({ code: 0 });
  expect(await ebbgate('gateway forget --never-heard --reason spelling')).toMatchObject({ code: 0 });
  expect(await ebbgate('gateway forget --reason nobody')).toMatchObject({
    code: 2,
    err: expect.stringContaining('name a gateway') as string,
  });
  expect(plane.mutated.map((call) => call.mutation)).toMatchObject([
    { kind: 'forget_gateway', gateway: 'gw-a' },
    { kind: 'leave_gateway' },
    { kind: 'cancel_operation' },
    { kind: 'forget_gateways', gateways: ['gw-a', 'gw-b'], never_heard: false },
    { kind: 'forget_gateways', gateways: [], never_heard: true },
  ]);
});

describe('accept-data-loss', () => {
  const line = 'accept-data-loss --reason burnt';

  it('shows what would go, and does nothing without --yes', async () => {
    const shown = await ebbgate(line);
    expect(shown).toMatchObject({
      code: 2,
      err: expect.stringMatching(/nothing was done: this needs --yes/) as string,
    });
    expect(shown.out).toContain('dry run: nothing was written');
    expect(mutation()).toMatchObject({
      mutation: { kind: 'accept_data_loss', keep_intents: false },
      context: { dry_run: true, reason: 'burnt' },
    });
  });

  it('does it with --yes, and never with --dry-run', async () => {
    expect(await ebbgate(`${line} --keep-intents --yes`)).toMatchObject({ code: 0, err: '' });
    expect(await ebbgate(`${line} --yes --dry-run`)).toMatchObject({ code: 0, err: '' });
    expect(plane.mutated.map(({ mutation, context }) => [mutation, context.dry_run])).toEqual([
      [{ kind: 'accept_data_loss', keep_intents: true }, false],
      [{ kind: 'accept_data_loss', keep_intents: false }, true],
    ]);
  });

  it('needs a reason, and ends with 6 when nothing is lost', async () => {
    expect(await ebbgate('accept-data-loss --yes')).toMatchObject({ code: 2 });
    plane.refusal = { code: 'no_data_loss', detail: 'nothing is lost' };
    expect(await ebbgate(`${line} --yes`)).toMatchObject({ code: 6 });
  });
});

describe('failures', () => {
  it('say for each code what corrects it, and no two say the same', () => {
    expect(Object.keys(NEXT).sort()).toEqual(Object.keys(PROBLEMS).sort());
    expect(new Set(Object.values(NEXT)).size).toBe(Object.keys(NEXT).length);
  });

  it.each([
    ['get services nosuch', 'there is no service nosuch', 'ebbgate get services'],
    ['get services shop nosuch neither', 'there is no service nosuch, nor neither', 'ebbgate get services'],
    ['get gateways nosuch', 'there is no gateway nosuch', 'ebbgate get gateways'],
    ['get operations op-9', 'there is no operation op-9', 'ebbgate get operations'],
    ['get intents nosuch', 'there is no service nosuch', 'ebbgate get services'],
    ['get instances nosuch', 'there is no service nosuch', 'ebbgate get services'],
    ['get instances -s nosuch', 'there is no service nosuch', 'ebbgate get services'],
    ['events nosuch', 'there is no service nosuch', 'ebbgate get services'],
    ['describe service nosuch', 'there is no service nosuch', 'ebbgate get services'],
    ['describe instance -s shop nosuch', 'no instance nosuch', 'ebbgate get instances'],
    ['describe gateway nosuch', 'there is no gateway nosuch', 'ebbgate get gateways'],
    ['describe operation op-9', 'there is no operation op-9', 'ebbgate get operations'],
    ['wait operation op-9', 'there is no operation op-9', 'ebbgate get operations'],
    ['wait convergence nosuch', 'there is no', ''],
    ['diff nosuch', '', ''],
  ])('%s: what does not exist is an error', async (line, said, next) => {
    const { code, err } = await ebbgate(line);
    expect(code).not.toBe(0);
    expect(err).toContain(said);
    expect(err).toContain(next);
  });

  it('shows what exists of several names, and fails for the others', async () => {
    const { code, out } = await ebbgate('get services shop nosuch');
    expect(code).toBe(1);
    expect(out).toMatch(/^shop /m);
  });

  it.each(['drain', 'undrain', 'isolate', 'restore'])(
    '%s --all is every instance of a service',
    async (verb) => {
      expect(await ebbgate(`${verb} -s shop --all --dry-run`)).toMatchObject({ code: 0 });
      expect(mutation().mutation).toMatchObject({ kind: verb, selector: { service: 'shop', all: true } });
      expect(await ebbgate(`${verb} --all`)).toMatchObject({ code: 2 });
      expect(await ebbgate(`${verb} -s shop --all a`)).toMatchObject({ code: 2 });
      expect(await ebbgate(`${verb} -s shop`)).toMatchObject({
        code: 2,
        err: expect.stringContaining('--all') as string,
      });
    },
  );

  const EXITS: Partial<Record<ProblemCode, number>> = {
    invalid_request: 2,
    guard_refused: 5,
    conflict: 6,
    route_taken: 6,
    idempotency_conflict: 6,
    no_data_loss: 6,
    precondition_failed: 6,
    precondition_required: 6,
    not_leader: 7,
    store_unavailable: 7,
    not_ready: 7,
    too_many_streams: 7,
  };
  it.each(Object.keys(PROBLEMS) as ProblemCode[])('%s has its exit code', async (code) => {
    plane.refusal = { code, detail: 'because' };
    const ended = await ebbgate('drain -s shop a --wait');
    expect(ended.code).toBe(EXITS[code] ?? 1);
    expect(ended.err).toMatch(new RegExp(`^ebbgate: ${code}: because\n`));
    expect(ended.err).toContain('  request id: req-1\n');
    expect(ended.out).toBe('');
  });

  it('shows guards, blockers, and how to go on', async () => {
    plane.refusal = {
      code: 'guard_refused',
      detail: 'shop would have nobody left',
      guards: [{ guard: 'last_ready_instance', service: 'shop', would_leave: 0, needed: 1, message: 'm' }],
      blockers: ['gateway gw-b is silent'],
    };
    expect((await ebbgate('drain -s shop a')).err).toBe(
      [
        'ebbgate: guard_refused: shop would have nobody left',
        '  guard last_ready_instance of shop: would leave 0, needs 1',
        '  blocked by: gateway gw-b is silent',
        '  next: add instances first, or overrule the guard with --force --reason "…"',
        '  request id: req-1',
        '',
      ].join('\n'),
    );
  });

  it('has 7 for an API that is away or something else', async () => {
    await api.close();
    const { code, err } = await ebbgate('get services');
    expect(code).toBe(7);
    expect(err).toMatch(
      /^ebbgate: unavailable: the control API at .* cannot be reached: ECONNREFUSED\n {2}next: /,
    );
  });

  it.each([
    ['drain', /name instances, or one of/],
    ['drain a', /ebbgate drain -s SVC a/],
    ['drain -s shop a --timeout 5', /whole number and a unit/],
    ['drain -s shop a --on-timeout kill', /wait, cut, undrain/],
    ['drain -s shop a --forced', /unknown option/],
    ['weight shop', /either INSTANCE=N or --version/],
    ['weight shop a', /not of the form INSTANCE=N/],
    ['weight shop a=x', /not a whole number/],
    ['weight shop --version v1=50,v2=60', /must sum to 100/],
    ['weight shop a=10001', /at most 10000/],
    ['route shop', /required option '--path/],
    ['gateway forget gw-a', /required option '--reason/],
    ['get services -o xml', /table, wide, json, yaml/],
    ['get servces', /unknown command/],
    ['get services --api nowhere', /--api must be a URL/],
    ['get services --token-file /nonexistent', /--token-file: ENOENT/],
    ['drain -s shop a --force', /reason is needed with force/],
  ])('%s is a usage error', async (line, message) => {
    const { code, err } = await ebbgate(line);
    expect(err).toMatch(message);
    expect(code).toBe(2);
    expect(plane.mutated).toEqual([]);
  });

  it('refuses an actor that the API would not take', async () => {
    const { code, err } = await ebbgate('get services', { env: { EBBGATE_ACTOR: 'a b' } });
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('EBBGATE_ACTOR') as string });
  });
});

describe('finding the API', () => {
  it('sends the token of a file or of the environment', async () => {
    await api.close();
    api = listen(0, 's3cret');
    await api.start();
    url = `http://127.0.0.1:${String(api.address().port)}`;
    const dir = mkdtempSync(join(tmpdir(), 'ebbgate-token-'));
    try {
      writeFileSync(join(dir, 'token'), 's3cret\n');
      expect((await ebbgate('get services')).code).toBe(1);
      expect((await ebbgate('get services', { env: { EBBGATE_TOKEN: 's3cret' } })).code).toBe(0);
      expect((await ebbgate(`get services --token-file ${join(dir, 'token')}`)).code).toBe(0);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('prefers --api', async () => {
    expect(
      (await ebbgate(`get services --api ${url}/`, { env: { EBBGATE_API: 'http://127.0.0.1:1' } })).code,
    ).toBe(0);
  });
});

it('shows its version and its help', async () => {
  expect(await ebbgate('--version')).toEqual({ code: 0, out: '9.9.9\n', err: '' });
  const help = await ebbgate('--help');
  expect(help.code).toBe(0);
  expect(help.out).toContain('Exit codes: 0 ok');
});
