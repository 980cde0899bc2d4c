import type {
  ConsumerRegistration,
  ProviderData,
  ProviderRegistration,
  RegistrySource,
} from '../../model/ports.js';
import { MemoryConsumers } from './consumers.js';
import { MemoryProvider } from './provider.js';
import { MemoryNodes, type MemoryLink } from './registry_nodes.js';
import { MemoryRegistrySource } from './registry_source.js';

/** A registry in memory, empty at first, and everything that reads it and writes to it, each over the link that it is given. */
export class MemoryRegistry {
  readonly nodes = new MemoryNodes();

  source(link: MemoryLink): RegistrySource {
    return new MemoryRegistrySource(this.nodes, link);
  }
  /** `check` as for the real one: what would be refused in the data, or null. */
  provider(
    link: MemoryLink,
    service: string,
    node: string,
    check: (service: string, data: ProviderData) => string | null = () => null,
  ): ProviderRegistration {
    return new MemoryProvider(this.nodes, link, { service, node, check });
  }
  /** `id` is the controller's own. */
  consumers(link: MemoryLink, id: string): ConsumerRegistration {
    return new MemoryConsumers(this.nodes, link, id);
  }
}
