import { consumersContract } from '../consumers.contract.js';
import { providerContract } from '../provider.contract.js';
import { registrySourceContract } from '../registry_source.contract.js';
import { MemoryRegistry } from './registry.js';

registrySourceContract('the memory', () => {
  const registry = new MemoryRegistry();
  const link = registry.nodes.link();
  const writer = Symbol('writer');
  return Promise.resolve({
    source: () => registry.source(link),
    connect: (mode) => {
      link.away = mode === 'away' ? 'unplugged' : null;
    },
    create: (service) => {
      registry.nodes.create(service);
    },
    register: (service, node, data) => {
      registry.nodes.put(service, node, data, writer);
    },
    deregister: (service, node) => {
      registry.nodes.remove(service, node);
    },
    wipe: () => {
      registry.nodes.wipe();
    },
    close: () => Promise.resolve(),
  });
});

providerContract('the memory', () => {
  const registry = new MemoryRegistry();
  const flawOf = (_service: string, { weight = 0 }: { readonly weight?: number }) =>
    weight < 0 ? 'weight must not be negative' : null;
  return Promise.resolve({
    registrant: (session) => {
      const link = registry.nodes.link(session);
      return Promise.resolve({
        registration: registry.provider(link, 'shop', 'a', flawOf),
        connect: (mode) => {
          link.away = mode === 'away' ? 'unplugged' : null;
        },
        close: () => Promise.resolve(),
      });
    },
    read: () => Promise.resolve(registry.nodes.provider('shop', 'a')?.data ?? null),
    remove: () => {
      registry.nodes.remove('shop', 'a');
    },
    close: () => Promise.resolve(),
  });
});

consumersContract('the memory', () => {
  const registry = new MemoryRegistry();
  const { nodes } = registry;
  const link = nodes.link();
  return Promise.resolve({
    consumers: () => registry.consumers(link, 'c1'),
    connect: (mode) => {
      link.away = mode === 'away' ? 'unplugged' : null;
    },
    create: (service) => {
      nodes.create(service);
    },
    allow: (service, may) => {
      if (may) nodes.closed.delete(service);
      else nodes.closed.add(service);
    },
    services: () => Promise.resolve([...nodes.services().keys()]),
    registered: () =>
      Promise.resolve(
        [...nodes.services()].flatMap(([service, { consumers }]) => (consumers.has('c1') ? [service] : [])),
      ),
    close: () => Promise.resolve(),
  });
});
