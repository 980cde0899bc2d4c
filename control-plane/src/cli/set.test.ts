import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ServiceSpec } from '../model/intent.js';
import { effectiveSpec } from '../plan/spec.js';
import { ebbgate, mutation, served, start, useApi } from '../testing/cli_rig.js';
import { AT, makeInstance, makeService } from '../testing/resources.js';

useApi();

/** Polls: the machine may be busy. */
const until = <T>(read: () => T) => expect.poll(read, { timeout: 15_000 });

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
    expect(served.plane.mutated).toEqual([]);
  });

  it('does not make a service out of a typing error', async () => {
    expect(await ebbgate('set service shpo retry.tries=3')).toMatchObject({ code: 1 });
    expect(served.plane.mutated).toEqual([]);
  });

  it('makes an instance a backup, and takes it back', async () => {
    expect((await ebbgate('set instance -s shop a backup=true weight=7 --expires 1h')).code).toBe(0);
    expect((await ebbgate('set instance -s shop a backup= weight=')).code).toBe(0);
    expect(served.plane.mutated.map((call) => call.mutation)).toEqual([
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
    served.plane.serviceMap.set('shop', makeService({ service: 'shop', spec }));
    const { out } = await ebbgate('describe service shop');
    const shown = /^Decided:([^]*?)^By default:/m.exec(out)?.[1]?.trim().split(/\s+/) ?? [];
    expect(shown).toContain('timeouts.try_ms=1500ms');
    expect(out).toMatch(/timeouts: connect_ms=500ms send_ms=1m read_ms=1m total_ms=0s\n/);
    expect((await ebbgate(`set service shop ${shown.join(' ')}`)).code).toBe(0);
    expect(served.plane.mutated.at(-1)?.mutation).toMatchObject({ spec: decided });
  });

  it('shows what each gateway finds of an instance', async () => {
    const health = [{ gateway: 'gw-a', state: 'ejected', reason: '3 failures', since: AT }];
    served.plane.instanceMap.set('shop', [makeInstance({ id: 'a', health })]);
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
    expect(served.plane.service('shop')?.spec.routes).toEqual([{ host: 'api.example.com', path: '/x' }]);
  });

  it('describes limits with what came of them of late', async () => {
    const limits = '[{"name":"all","rate":"9/s"},{"name":"tried","rate":"1/s","mode":"log"}]';
    expect((await ebbgate(['set', 'service', 'shop', `limits=${limits}`])).code).toBe(0);
    const limit = { algorithm: 'token_bucket', scope: 'gateway', rate: '9/s' } as const;
    const recent = { admitted: 40, delayed: 2, refused: 10, seconds: 61, gateways: 2 };
    served.plane.limitMap.set('shop', [
      { ...limit, name: 'all', mode: 'enforce', recent },
      { ...limit, name: 'tried', mode: 'log', recent: { ...recent, delayed: 0 } },
      { ...limit, name: 'shared', scope: 'cluster', mode: 'enforce', recent: null },
    ]);
    const { out } = await ebbgate('describe service shop');
    expect(out).toContain('all 9/s: refused 10 of 50 in 61 s, 2 had to wait');
    expect(out).toContain('tried 9/s: would have refused 10 of 50 in 61 s');
    expect(out).toContain('shared 9/s of all gateways: no gateway says anything of it yet');
  });

  it('adds a route with conditions, and replaces the one of its name', async () => {
    const line = 'route shop --path /x name=reads methods=GET,HEAD priority=2 clients=10.0.0.0/8';
    expect((await ebbgate(`${line} regex=/x/\\d+`)).code).toBe(0);
    const reads = {
      ...{ host: '*', path: '/x', name: 'reads', methods: ['GET', 'HEAD'], priority: 2 },
      ...{ clients: ['10.0.0.0/8'], regex: '/x/\\d+' },
    };
    expect(served.plane.service('shop')?.spec.routes).toEqual([{ host: '*', path: '/' }, reads]);
    expect((await ebbgate('describe service shop')).out).toContain(
      '* /x name=reads priority=2 regex=/x/\\d+ methods=GET,HEAD clients=10.0.0.0/8',
    );
    expect((await ebbgate('route shop --path /y name=reads')).code).toBe(0);
    expect(served.plane.service('shop')?.spec.routes).toEqual([
      { host: '*', path: '/' },
      { host: '*', path: '/y', name: 'reads' },
    ]);
    expect((await ebbgate('route shop --path / name=reads --remove')).code).toBe(0);
    expect(served.plane.service('shop')?.spec.routes).toEqual([{ host: '*', path: '/' }]);
  });

  it.each([
    ['route shop', /--path is needed/],
    ['route shop --path / method=GET', /method is not known; known: name, match/],
    ['route shop --path / priority=x', /priority must be a whole number/],
    ['route test GET', /--path is needed/],
  ])('%s is a mistake', async (line, message) => {
    const { code, err } = await ebbgate(line);
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
  });

  it('a service may be called test', async () => {
    served.plane.add('test', ['10.0.0.1:80']);
    expect((await ebbgate('route test --path /t')).code).toBe(0);
    expect(mutation().mutation).toMatchObject({ service: 'test' });
  });

  it('says which route a request takes', async () => {
    served.plane.routeList = [
      { host: '*', path: '/', service: 'shop', name: '*/' },
      { host: 'a', path: '/', service: 'cart', name: 'a/' },
    ];
    const { code, out } = await ebbgate('route test get /x -H a:b --client 10.0.0.1');
    expect(code).toBe(0);
    expect(out).toMatch(/Request: +GET any host \/x\n/);
    expect(out).toMatch(/Service: +shop\n/);
    expect(out).toMatch(/Not: +cart: a\/: no\n/);
    expect((await ebbgate('get routes')).out).toMatch(/HOST +PATH +SERVICE +NAME.*\n\* +\/ +shop/);
    served.plane.routeList = [];
    expect((await ebbgate('route test GET /x')).code).toBe(1);
  });

  it('gives up on a route after three stale reads', async () => {
    served.plane.refusal = { code: 'precondition_failed', detail: 'changed' };
    const { code, err } = await ebbgate('route shop --path /x');
    expect(code).toBe(6);
    expect(err).toContain('precondition_failed: changed');
    expect(served.plane.mutated).toHaveLength(3);
  });

  it('waits until every gateway follows', async () => {
    const state = { service: 'shop', target: { epoch: 7, generation: 12 }, converged: false, gateways: [] };
    served.plane.convergenceMap.set('shop', state);
    const { terminal, code } = start('weight shop a=5 --wait --timeout 60s');
    await until(() => served.plane.waiting).toBe(1);
    served.plane.change((p) => p.convergenceMap.set('shop', { ...state, converged: true }));
    expect(await code).toBe(0);
    expect(terminal.stdout()).toMatch(/shop: 0 gateways follow it\n$/);
  });
});
