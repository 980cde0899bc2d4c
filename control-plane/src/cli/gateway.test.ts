import { expect, it } from 'vitest';
import { ebbgate, served, useApi } from '../testing/cli_rig.js';
import { makeOperation } from '../testing/resources.js';

useApi();

it('forgets gateways, lets them leave, cancels operations', async () => {
  served.plane.operationMap.set('op-1', makeOperation());
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
  expect(served.plane.mutated.map((call) => call.mutation)).toMatchObject([
    { kind: 'forget_gateway', gateway: 'gw-a' },
    { kind: 'leave_gateway' },
    { kind: 'cancel_operation' },
    { kind: 'forget_gateways', gateways: ['gw-a', 'gw-b'], never_heard: false },
    { kind: 'forget_gateways', gateways: [], never_heard: true },
  ]);
});
