import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lifecycle, ProviderData, ProviderRegistration } from '../model/ports.js';
import { until } from './until.js';

/** A registrant of the instance `a`, not started, with a connection of its own. */
export interface Registrant extends Pick<Lifecycle, 'close'> {
  readonly registration: ProviderRegistration;
  /** `away`: nothing is answered and nothing is done. */
  readonly connect: (mode: 'pass' | 'away') => void;
}

/** Where the instance `a` registers, and what happens to its node: whatever that returns is awaited. */
export interface Registering extends Pick<Lifecycle, 'close'> {
  /** A `short` session ends soon after its connection was lost, a `long` one not while a test runs. */
  registrant(session: 'short' | 'long'): Promise<Registrant>;
  /** What everybody else reads. */
  read(): Promise<ProviderData | null>;
  /** Somebody deletes the node by hand. */
  remove(): unknown;
}

const data = (over: Partial<ProviderData> = {}): ProviderData => ({
  ...{ id: 'a', host: '10.0.0.1', port: 80 },
  ...over,
});

/** What every registration of a provider promises. */
export function providerContract(name: string, make: () => Promise<Registering>): void {
  describe(`${name} keeps the registration of an instance`, () => {
    let where: Registering;
    let opened: Registrant[];

    beforeEach(async () => {
      where = await make();
      opened = [];
    });
    afterEach(async () => {
      for (const one of opened.toReversed()) {
        one.connect('pass');
        await one.registration.close();
        await one.close();
      }
      await where.close();
    });

    async function start(session: 'short' | 'long' = 'short', mode: 'pass' | 'away' = 'pass') {
      const made = await where.registrant(session);
      opened.push(made);
      made.connect(mode);
      await made.registration.start();
      return made;
    }
    const shows = (expected: ProviderData | null) =>
      until(async () => expect(await where.read()).toEqual(expected));

    test('a provider registers, changes in place, says that it leaves, and withdraws', async () => {
      const { registration } = await start();
      await registration.set(data({ version: 'v1' }));
      expect(await where.read()).toEqual(data({ version: 'v1' }));
      await registration.set(data({ version: 'v1', leaving: true }));
      expect(await where.read()).toEqual(data({ version: 'v1', leaving: true }));
      await registration.withdraw();
      expect(await where.read()).toBeNull();
      await registration.withdraw();
      await registration.set(data());
      expect(await where.read()).toEqual(data());
    });

    test('withdrawing what was never there needs no connection', async () => {
      const { registration } = await start('short', 'away');
      await registration.withdraw();
    });

    test('what is set while it is away is written once it is back; a signal ends the waiting', async () => {
      const { registration, connect } = await start('short', 'away');
      await expect(registration.set(data({ weight: 1 }), AbortSignal.timeout(50))).rejects.toThrow(
        /timeout/i,
      );
      await expect(registration.set(data({ weight: 2 }), AbortSignal.abort())).rejects.toThrow(/abort/i);
      const waiting = registration.set(data({ weight: 3 }));
      expect(await where.read()).toBeNull();
      connect('pass');
      await waiting;
      expect(await where.read()).toEqual(data({ weight: 3 }));
    });

    test('an expired session is followed by the same registration, with the newest data', async () => {
      const { registration, connect } = await start();
      await registration.set(data());
      connect('away');
      await shows(null);
      const waiting = registration.set(data({ leaving: true }));
      connect('pass');
      await waiting;
      expect(await where.read()).toEqual(data({ leaving: true }));
    });

    test('a lost connection is made good before the session ends', async () => {
      const { registration, connect } = await start('long');
      await registration.set(data());
      connect('away');
      const waiting = registration.set(data({ weight: 9 }));
      expect(await where.read()).toEqual(data());
      connect('pass');
      await waiting;
      expect(await where.read()).toEqual(data({ weight: 9 }));
    });

    test('a registrar that was killed and started again takes its node over at once', async () => {
      const killed = await start('long');
      await killed.registration.set(data({ version: 'v1', leaving: true }));
      killed.connect('away');
      const again = await start();
      await again.registration.set(data({ version: 'v2' }));
      expect(await where.read()).toEqual(data({ version: 'v2' }));
    });

    test('another instance of the same id is not thrown out; its end is waited for', async () => {
      const other = await start();
      await other.registration.set(data({ host: '10.0.0.2' }));
      const { registration } = await start();
      await expect(registration.set(data(), AbortSignal.timeout(700))).rejects.toThrow();
      expect(await where.read()).toEqual(data({ host: '10.0.0.2' }));
      const waiting = registration.set(data());
      await other.registration.withdraw();
      await waiting;
      expect(await where.read()).toEqual(data());
    });

    test('two registrars of one instance do not fight', async () => {
      const first = await start();
      await first.registration.set(data({ zone: 'first' }));
      const second = await start();
      await second.registration.set(data({ zone: 'second' }));
      await expect(
        first.registration.set(data({ zone: 'again' }), AbortSignal.timeout(700)),
      ).rejects.toThrow();
      expect(await where.read()).toEqual(data({ zone: 'second' }));
      await second.registration.withdraw();
      await shows(data({ zone: 'again' }));
    });

    test('a node deleted by hand comes back', async () => {
      const { registration } = await start();
      await registration.set(data());
      await where.remove();
      await shows(data());
    });

    test('what is not valid throws, and changes nothing', async () => {
      const { registration } = await start();
      await registration.set(data());
      await expect(registration.set(data({ weight: -1 }))).rejects.toThrow(/weight/);
      expect(await where.read()).toEqual(data());
    });

    test('close, twice, takes the node away', async () => {
      const { registration } = await start('long');
      await registration.set(data());
      await registration.close();
      await registration.close();
      expect(await where.read()).toBeNull();
    });
  });
}
