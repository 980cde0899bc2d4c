import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lifecycle } from '../model/ports.js';
import type { GatewayTraffic, TrafficReader } from '../model/release_ports.js';
import { must } from './must.js';
import { buildCounts } from './releases.js';
import { until } from './until.js';

/** Where gateways write their counters, none at first: whatever happens there is awaited. */
export interface Counted extends Pick<Lifecycle, 'close'> {
  /** Another controller's each time, not started. */
  reader(): TrafficReader;
  /** `away`: nothing is answered. */
  connect(mode: 'pass' | 'away'): void;
  /** A gateway writes its counters. */
  count(traffic: GatewayTraffic): unknown;
  /** Somebody writes nonsense there. */
  damage(gateway: string): unknown;
}

const counted = (gateway: string, requests: number, seq: number | null = 1): GatewayTraffic => ({
  ...{ gateway, boot: 'b1', seq },
  services: { shop: { v1: buildCounts(requests), v2: buildCounts(7, 2) }, cart: {} },
});

/** What every reader of traffic promises. */
export function trafficContract(name: string, make: () => Promise<Counted>): void {
  describe(`${name} has the counters of gateways`, () => {
    let where: Counted;
    let reader: TrafficReader;

    beforeEach(async () => {
      where = await make();
      reader = where.reader();
      await reader.start();
      await until(() => must(reader.read([])));
      await until(() => must(reader.read(['nobody'])));
    });
    afterEach(async () => {
      where.connect('pass');
      await reader.close();
      await where.close();
    });
    /** In the order of their names: none is promised. */
    async function read(...gateways: readonly string[]): Promise<readonly GatewayTraffic[]> {
      const found = await must(reader.read(gateways));
      return found.toSorted((a, b) => a.gateway.localeCompare(b.gateway));
    }

    test('those of the gateways that are named are read as they are now', async () => {
      for (const id of ['g1', 'g2', 'g3']) await where.count(counted(id, 10));
      expect(await read('g1', 'g3')).toEqual([counted('g1', 10), counted('g3', 10)]);
      expect(await read()).toEqual([]);
      await where.count(counted('g1', 25, null));
      expect(await read('g1')).toEqual([counted('g1', 25, null)]);
      const many = Array.from({ length: 50 }, (_, n) => counted(`many-${String(n)}`, n));
      for (const one of many) await where.count(one);
      expect(await read(...many.map(({ gateway }) => gateway))).toHaveLength(50);
    });

    test('a gateway whose counters are missing or damaged, and a name that none can have, is left out', async () => {
      for (const id of ['good', 'bad']) await where.count(counted(id, 10));
      await where.damage('bad');
      expect(await read('good', 'bad', 'missing', 'no name')).toEqual([counted('good', 10)]);
      await where.count(counted('bad', 11));
      expect(await read('good', 'bad')).toEqual([counted('bad', 11), counted('good', 10)]);
    });

    test('away is a failure with a reason, not "no traffic"', async () => {
      await where.count(counted('g1', 10));
      where.connect('away');
      await until(async () => expect((await reader.read(['g1'])).ok).toBe(false));
      const reason = expect.stringMatching(/./) as string;
      expect(await reader.read(['g1'])).toEqual({ ok: false, error: reason });
      where.connect('pass');
      await until(async () => expect(await read('g1')).toEqual([counted('g1', 10)]));
    });

    test('before it is started and after it is closed, twice, it reads nothing', async () => {
      await where.count(counted('g1', 10));
      expect(await where.reader().read(['g1'])).toMatchObject({ ok: false });
      await reader.close();
      await reader.close();
      expect(await reader.read(['g1'])).toMatchObject({ ok: false });
    });
  });
}
