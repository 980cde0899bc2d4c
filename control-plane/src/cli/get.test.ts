import { beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ebbgate, served, start, useApi } from '../testing/cli_rig.js';
import {
  AT,
  ended,
  makeGateway,
  makeInstance,
  makeOperation,
  makeProblem,
  makeService,
} from '../testing/resources.js';

useApi();

/** Polls: the machine may be busy. */
const until = <T>(read: () => T) => expect.poll(read, { timeout: 15_000 });

describe('get', () => {
  beforeEach(() => {
    served.plane.add('api', ['10.0.0.1:80'], { version: 'v2', persistent: true });
    served.plane.serviceMap.set(
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
    served.plane.gatewayList = [
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
    served.plane.operationMap.set('op-1', makeOperation());
    served.plane.operationMap.set('op-2', ended(makeOperation({ id: 'op-2', reason: 'kernel' }), 'drained'));
    served.plane.problemList = [
      makeProblem({ code: 'bad_service_name', service: null, path: '/services/my shop' }),
      makeProblem(),
    ];
    served.plane.intentList = [
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
    served.plane.eventMap.set('shop', [
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
    const expected = { items: [served.plane.instance('api', '10.0.0.1:80')] };
    expect(JSON.parse((await ebbgate('get instances api -o json')).out)).toEqual(expected);
    expect(parse((await ebbgate('get instances -s api -o yaml')).out)).toEqual(expected);
    expect(JSON.parse((await ebbgate('describe gateway gw-a -o json')).out)).toEqual(makeGateway());
  });

  it('says on stderr that there is nothing, and an empty list to programs', async () => {
    served.plane.intentList = [];
    expect(await ebbgate('get intents')).toEqual({ code: 0, out: '', err: 'no intents\n' });
    expect(JSON.parse((await ebbgate('get intents -o json')).out)).toEqual({ items: [] });
  });

  it('watches: adds changed lines, and redraws on a terminal', async () => {
    const plain = start('get instances -s shop -w');
    const drawn = start('get instances -s shop -w', { tty: true });
    await until(plain.terminal.stdout).toMatch(/shop +b/);
    await until(drawn.terminal.stdout).toMatch(/shop +b/);
    const before = plain.terminal.stdout();
    served.plane.instanceMap.set('shop', [
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
