import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ConsumerRegistration, Lifecycle } from '../model/ports.js';
import { until } from './until.js';

/** Where a controller registers as consumer, and what happens there: whatever that returns is awaited. */
export interface Consumed extends Pick<Lifecycle, 'close'> {
  /** Of the one controller, not started. */
  consumers(): ConsumerRegistration;
  connect(mode: 'pass' | 'away'): void;
  /** A service that exists from now on. */
  create(service: string): unknown;
  /** Whether the consumers of a service, which exists, may be written. */
  allow(service: string, may: boolean): unknown;
  /** The services that exist, by name. */
  services(): Promise<readonly string[]>;
  /** Those in which the controller's own node is. */
  registered(): Promise<readonly string[]>;
}

/** What every registration of a consumer promises. */
export function consumersContract(name: string, make: () => Promise<Consumed>): void {
  describe(`${name} registers a consumer`, () => {
    let where: Consumed;
    let consumers: ConsumerRegistration;

    beforeEach(async () => {
      where = await make();
      for (const service of ['a', 'b', 'c']) await where.create(service);
      consumers = where.consumers();
      await consumers.start();
    });
    afterEach(async () => {
      where.connect('pass');
      await consumers.close();
      await where.close();
    });
    const shows = (...expected: readonly string[]) =>
      until(async () => expect((await where.registered()).toSorted()).toEqual(expected));

    test('exactly in the followed services that exist; none is created', async () => {
      consumers.follow(['a', 'b', 'unlisted']);
      await shows('a', 'b');
      consumers.follow(['b', 'c', 'unlisted']);
      await shows('b', 'c');
      expect((await where.services()).toSorted()).toEqual(['a', 'b', 'c']);
      await where.create('unlisted');
      consumers.follow(['b', 'c', 'unlisted']);
      await shows('b', 'c', 'unlisted');
      expect(consumers.refused().size).toBe(0);
      consumers.follow([]);
      await shows();
    });

    test('over a lost connection too, with what was followed meanwhile', async () => {
      consumers.follow(['a', 'b']);
      await shows('a', 'b');
      where.connect('away');
      consumers.follow(['b', 'c']);
      where.connect('pass');
      await shows('b', 'c');
    });

    test('what may not be written is named, with the reason, and costs nobody else anything', async () => {
      await where.allow('b', false);
      consumers.follow(['a', 'b', 'c']);
      await shows('a', 'c');
      const text = expect.stringMatching(/./) as string;
      await until(() =>
        expect([...consumers.refused()]).toMatchObject([['b', { path: text, reason: text }]]),
      );
      expect(consumers.refused().get('b')?.path).toMatch(/b\/consumers/);
      consumers.follow(['a', 'c']);
      expect(consumers.refused().size).toBe(0);
      consumers.follow(['a', 'b', 'c']);
      await until(() => expect([...consumers.refused().keys()]).toEqual(['b']));
      await where.allow('b', true);
      where.connect('away');
      where.connect('pass');
      await shows('a', 'b', 'c');
      await until(() => expect(consumers.refused().size).toBe(0));
    });

    test('close, twice, takes all away', async () => {
      consumers.follow(['a', 'b']);
      await shows('a', 'b');
      await consumers.close();
      await consumers.close();
      expect(await where.registered()).toEqual([]);
    });
  });
}
