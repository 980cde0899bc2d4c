import { describe, expect, it } from 'vitest';
import { ebbgate, served, start, useApi } from '../testing/cli_rig.js';
import { makeGateway, makeInstance, makeOperation } from '../testing/resources.js';

useApi();

describe('wait', () => {
  it('ends with 4 and says what it waited for', async () => {
    served.plane.operationMap.set('op-1', makeOperation());
    served.plane.convergenceMap.set('shop', {
      service: 'shop',
      target: { epoch: 7, generation: 12 },
      converged: false,
      gateways: [{ id: 'gw-b', applied: null, state: 'unknown' }],
    });
    served.plane.instanceMap.set('shop', [
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
    served.plane.instanceMap.set('shop', [makeInstance({ id: 'a', drain })]);
    const { terminal, code } = start('wait drained -s shop a');
    served.plane.instanceMap.set('shop', [makeInstance({ id: 'a', drain: { ...drain, drained: true } })]);
    expect(await code).toBe(0);
    expect(terminal.stdout()).toBe('shop/a: drained\n');
  });

  it('waits for a gateway that is heard, follows everything, and is another start than before', async () => {
    served.plane.gatewayList = [makeGateway({ boot: 'b1' })];
    expect(await ebbgate('wait gateway gw-a')).toMatchObject({
      code: 0,
      out: 'gateway gw-a is heard and follows everything\n',
    });
    const { terminal, code } = start('wait gateway gw-a --not-boot b1');
    served.plane.gatewayList = [];
    served.plane.gatewayList = [makeGateway({ boot: 'b2', behind: 1 })];
    served.plane.gatewayList = [makeGateway({ boot: 'b2' })];
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
    served.plane.gatewayList = gateway === null ? [] : [makeGateway(gateway)];
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
