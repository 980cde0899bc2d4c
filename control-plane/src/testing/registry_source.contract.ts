import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lifecycle, ProviderData, RegistrySource } from '../model/ports.js';
import { registrationsIn, type RegistryState, type RegistryView } from '../model/registration.js';
import { must } from './must.js';
import { until } from './until.js';

/** A registry, empty at first, and what happens to it: whatever that returns is awaited. */
export interface Registry extends Pick<Lifecycle, 'close'> {
  /** Another controller's each time, not started, over the connection that `connect` speaks of. */
  source(): RegistrySource;
  /** `away`: nothing is answered. */
  connect(mode: 'pass' | 'away'): void;
  /** A service that exists, with nobody in it. */
  create(service: string): unknown;
  /** Writes the node of that name, or changes it; `data` null = nonsense. */
  register(service: string, node: string, data: ProviderData | null): unknown;
  deregister(service: string, node: string): unknown;
  /** Everything is gone, and what comes now is a registry anew. */
  wipe(): unknown;
}

const data = (id: string, more: Partial<ProviderData> = {}): ProviderData => ({
  ...{ id, host: '10.0.0.1', port: 80 },
  ...more,
});

/** What every source of registrations promises. */
export function registrySourceContract(name: string, make: () => Promise<Registry>): void {
  describe(`${name} is a source of registrations`, () => {
    let registry: Registry;
    let source: RegistrySource;
    let states: RegistryState[];

    beforeEach(async () => {
      registry = await make();
      states = [];
      source = registry.source();
      source.onState((state) => states.push(state));
    });
    afterEach(async () => {
      registry.connect('pass');
      await source.close();
      await registry.close();
    });

    const last = (): RegistryState | undefined => states.at(-1);
    function view(): RegistryView {
      const state = last();
      if (state?.status !== 'complete') throw new Error(`the last state is ${state?.status ?? 'none'}`);
      return state.view;
    }
    const ids = (): readonly string[] => registrationsIn(view()).map(({ service, id }) => `${service}/${id}`);
    const shows = (...expected: readonly string[]) => until(() => expect(ids()).toEqual(expected));
    const becomes = (status: RegistryState['status']) => until(() => expect(last()?.status).toBe(status));
    async function register(service: string, id: string, more: Partial<ProviderData> = {}): Promise<void> {
      await registry.register(service, id, data(id, more));
    }

    test('the first state is complete, and a gap; changes come after it, whole', async () => {
      await register('shop', 'b');
      await register('shop', 'a', { version: 'v1', weight: 7, zone: 'z', labels: { rack: '4' } });
      await registry.create('empty');
      await source.start();
      await shows('shop/a', 'shop/b');
      expect(states).toHaveLength(1);
      expect(last()).toMatchObject({
        ...{ status: 'complete', gap: true },
        view: { services: ['empty', 'shop'], problems: [], unread: [] },
      });
      const [first, second] = registrationsIn(view());
      expect(first).toMatchObject({ host: '10.0.0.1', port: 80, version: 'v1', weight: 7, zone: 'z' });
      expect(first).toMatchObject({ labels: { rack: '4' }, leaving: false });
      expect(second).toMatchObject({ version: '', weight: 100, zone: '', backup: false, ready: true });
      await register('shop', 'a', { leaving: true });
      await until(() => expect(registrationsIn(view())[0]?.leaving).toBe(true));
      await registry.deregister('shop', 'a');
      await register('cart', 'x');
      await shows('cart/x', 'shop/b');
      expect(view().services).toEqual(['cart', 'empty', 'shop']);
      for (const state of states) expect(state.status).toBe('complete');
      // A machine that is stopped for half a second makes a gap too, but not after every change.
      expect(states.some((state) => state.status === 'complete' && !state.gap)).toBe(true);
    });

    test('every listener hears every state', async () => {
      const others: RegistryState[] = [];
      source.onState((state) => others.push(state));
      await source.start();
      await becomes('complete');
      await register('shop', 'a');
      await shows('shop/a');
      expect(others).toEqual(states);
    });

    test('of a service in which nothing changed the registrations are the same object as before', async () => {
      for (const service of ['cart', 'shop']) await register(service, 'a');
      await source.start();
      await shows('cart/a', 'shop/a');
      const before = view();
      await register('shop', 'b');
      await shows('cart/a', 'shop/a', 'shop/b');
      expect(view().instances.get('cart')).toBe(before.instances.get('cart'));
      expect(view().instances.get('shop')).not.toBe(before.instances.get('shop'));
    });

    test('a node that changes goes on; one that went and came again has another, younger life', async () => {
      await register('shop', 'a');
      await source.start();
      await shows('shop/a');
      const one = () => registrationsIn(view())[0];
      const first = one()?.incarnation ?? '';
      await register('shop', 'a', { version: 'v2' });
      await until(() => expect(one()).toMatchObject({ version: 'v2', incarnation: first }));
      await registry.deregister('shop', 'a');
      await shows();
      await register('shop', 'a');
      await shows('shop/a');
      expect((one()?.incarnation ?? '') > first).toBe(true);
    });

    test('bad nodes become problems and stop nobody; of two with one id the younger is used', async () => {
      await registry.register('shop', 'garbage', null);
      await registry.register('shop', 'twin-1', data('twin', { host: '10.0.0.8' }));
      await registry.register('shop', 'twin-2', data('twin', { host: '10.0.0.9' }));
      await register('shop', 'good');
      await source.start();
      await shows('shop/good', 'shop/twin');
      expect(registrationsIn(view())[1]?.host).toBe('10.0.0.9');
      const problems = () => view().problems.map(({ service, code }) => [service, code]);
      await until(() =>
        expect(problems().toSorted()).toEqual([
          ['shop', 'bad_json'],
          ['shop', 'duplicate_id'],
        ]),
      );
      await registry.register('shop', 'garbage', data('mended'));
      await shows('shop/good', 'shop/mended', 'shop/twin');
      expect(problems()).toEqual([['shop', 'duplicate_id']]);
    });

    test('away it is unknown, once, and takes nothing back; then complete again, with a gap', async () => {
      await register('shop', 'a');
      await source.start();
      await shows('shop/a');
      registry.connect('away');
      await becomes('unknown');
      expect(source.loss()).toBeNull();
      expect(await source.peek()).toMatchObject({ ok: false });
      await register('shop', 'b');
      await registry.deregister('shop', 'a');
      registry.connect('pass');
      await becomes('complete');
      await shows('shop/b');
      const statuses = states.map(({ status }) => status);
      expect(statuses.slice(statuses.indexOf('unknown'))).toEqual(['unknown', 'complete']);
      expect(last()).toMatchObject({ gap: true });
    });

    test('a wiped registry is a loss, not "nobody": nothing of it is shown until a person accepts it', async () => {
      await register('shop', 'a');
      await source.start();
      await shows('shop/a');
      source.acceptDataLoss(); // without a loss, nothing happens
      expect(source.loss()).toBeNull();
      await registry.wipe();
      await becomes('data_loss');
      expect(source.loss()).toEqual(expect.stringMatching(/./));
      await until(async () => expect((await must(source.peek())).services).toEqual([]));
      await register('shop', 'new');
      await until(async () =>
        expect(registrationsIn(await must(source.peek()))).toMatchObject([{ service: 'shop', id: 'new' }]),
      );
      expect(states.filter(({ status }) => status === 'complete').map(({ status }) => status)).toHaveLength(
        states.findIndex(({ status }) => status !== 'complete'),
      );
      source.acceptDataLoss();
      await shows('shop/new');
      expect(last()).toMatchObject({ gap: true });
      expect(source.loss()).toBeNull();
    });

    test('a loss that happened while it was away is found when it is back, and outlives another absence', async () => {
      await register('shop', 'a');
      await source.start();
      await shows('shop/a');
      registry.connect('away');
      await becomes('unknown');
      await registry.wipe();
      await register('shop', 'new');
      registry.connect('pass');
      await becomes('data_loss');
      registry.connect('away');
      await becomes('unknown');
      registry.connect('pass');
      await becomes('data_loss');
      expect(source.loss()).not.toBeNull();
    });

    test('started before it can be read it says only that; closed, twice, it pushes no more', async () => {
      registry.connect('away');
      await source.start();
      await becomes('unknown');
      expect(states.map(({ status }) => status)).toEqual(['unknown']);
      registry.connect('pass');
      await shows();
      await source.close();
      await source.close();
      const pushed = states.length;
      await register('shop', 'a');
      const other = registry.source();
      let seen = 0;
      other.onState((state) => (seen = state.status === 'complete' ? registrationsIn(state.view).length : 0));
      await other.start();
      await until(() => expect(seen).toBe(1));
      await other.close();
      expect(states).toHaveLength(pushed);
    });
  });
}
