import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { DEFAULT_BASE_PORT, planPorts, takenPorts, type PortPlan } from './ports.js';
import { reservePort } from './port_reservation.js';

test('the default ports', () => {
  expect(planPorts(DEFAULT_BASE_PORT, 2, 3)).toEqual({
    ok: true,
    value: {
      gateways: [8080, 8081],
      admin: [8180, 8181],
      apis: [8090, 8091],
      zookeeper: 12181,
      redis: 16379,
      instances: [8280, 8281, 8282],
    },
  });
});

test.each([1_024, 8_080, 30_000, 57_236])('base %i: no port twice, none out of range', (base) => {
  const planned = planPorts(base, 10, 100, 5);
  const plan = planned.ok ? planned.value : undefined;
  const ports = Object.values(plan ?? {}).flat() as number[];
  expect(ports).toHaveLength(127);
  expect(new Set(ports).size).toBe(ports.length);
  expect(Math.max(...ports)).toBeLessThanOrEqual(65_535);
});

test.each([
  ['--base-port', [1_023, 2, 3]],
  ['--base-port', [57_237, 2, 3]],
  ['--gateways', [8_080, 0, 3]],
  ['--gateways', [8_080, 11, 3]],
  ['--instances', [8_080, 2, 101]],
  ['--controllers', [8_080, 2, 3, 0]],
  ['--controllers', [8_080, 2, 3, 6]],
] as const)('%s is refused by name: %j', (flag, [base, gateways, instances, controllers]) => {
  const planned = planPorts(base, gateways, instances, controllers);
  expect(planned.ok ? '' : planned.error).toMatch(new RegExp(`^${flag} `));
});

test('a taken port is named with what wanted it', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const taken = address !== null && typeof address === 'object' ? address.port : 0;
  const plan: PortPlan = {
    ...{ gateways: [await reservePort()], admin: [], apis: [await reservePort()], instances: [] },
    ...{ zookeeper: taken, redis: await reservePort() },
  };
  expect(await takenPorts(plan)).toEqual([`port ${String(taken)} is taken; ZooKeeper wants it`]);
  server.close();
  await once(server, 'close');
  expect(await takenPorts(plan)).toEqual([]);
});
