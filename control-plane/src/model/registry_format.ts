import type { Registration, RegistryProblem } from './registration.js';
import type { Result } from './result.js';

/** What a format makes of a node, by its names below the registry root. */
export type Place =
  /** A node with others below it; `service` on the one of a service. */
  | { readonly kind: 'list'; readonly service?: string }
  /** The node of one instance. */
  | { readonly kind: 'instance'; readonly service: string }
  /** Where nothing is read, and where people put instances by mistake. */
  | { readonly kind: 'stray'; readonly service: string }
  | { readonly kind: 'ignore' };

/** A provider node as it was read. */
export interface ProviderNode {
  readonly service: string;
  /** The node's own name. */
  readonly name: string;
  readonly path: string;
  readonly data: Uint8Array;
  /** See `Registration`. */
  readonly incarnation: string;
  /** True if no session owns it. */
  readonly persistent: boolean;
}

/** One way to write registrations into a tree of nodes. Pure: it decides where instances are, and reads them. */
export interface RegistrationFormat {
  readonly name: string;
  place(names: readonly string[]): Place;
  /** True if a stray node was surely meant as an instance. Never throws. */
  looksLikeInstance(data: Uint8Array): boolean;
  /** Never throws, whatever the bytes. */
  parse(node: ProviderNode): Result<Registration, RegistryProblem>;
}

/** A tree of registrations, and how they are written there. */
export interface RegistryRoot {
  /** The path of its top node, like `/services`. */
  readonly path: string;
  readonly format: RegistrationFormat;
}
