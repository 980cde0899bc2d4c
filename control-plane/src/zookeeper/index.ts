/** The ZooKeeper side of model/ports.ts: a link, and what works over it. */
export { createConsumers, type ConsumersOptions } from './consumers.js';
export { createOffice } from './epoch.js';
export type { RegistrationFormat } from './formats/format.js';
export { checkHost, parseNetworks, type AllowedNetworks } from './formats/hosts.js';
export { createIntentStore, type ZooKeeperIntentStore } from './intents.js';
export { ZooKeeperLink, type LinkUser, type ZooKeeperLinkOptions } from './link.js';
export { createProviderRegistration, type ProviderOptions } from './provider.js';
export {
  createRegistrySource,
  type RegistrySourceOptions,
  type ZooKeeperRegistrySource,
} from './registry.js';
export { createRosterStore, type ZooKeeperRosterStore } from './roster.js';
