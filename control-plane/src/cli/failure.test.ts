import { describe, expect, it } from 'vitest';
import { PROBLEMS, type ProblemCode } from '../model/problem.js';
import { ebbgate, mutation, served, useApi } from '../testing/cli_rig.js';
import { NEXT } from './failure.js';

useApi();

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
    no_leader: 7,
    store_unavailable: 7,
    not_ready: 7,
    too_many_streams: 7,
  };
  it.each(Object.keys(PROBLEMS) as ProblemCode[])('%s has its exit code', async (code) => {
    served.plane.refusal = { code, detail: 'because' };
    const ended = await ebbgate('drain -s shop a --wait');
    expect(ended.code).toBe(EXITS[code] ?? 1);
    expect(ended.err).toMatch(new RegExp(`^ebbgate: ${code}: because\n`));
    expect(ended.err).toContain('  request id: req-1\n');
    expect(ended.out).toBe('');
  });

  it('shows guards, blockers, and how to go on', async () => {
    served.plane.refusal = {
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
    await served.api.close();
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
    ['route shop', /--path is needed/],
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
    expect(served.plane.mutated).toEqual([]);
  });

  it('refuses an actor that the API would not take', async () => {
    const { code, err } = await ebbgate('get services', { env: { EBBGATE_ACTOR: 'a b' } });
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('EBBGATE_ACTOR') as string });
  });
});
