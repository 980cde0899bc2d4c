import type { HostPort } from '../../model/field.js';
import type { RedisAddress } from '../../model/redis_url.js';
import type { Clock } from '../../model/ports.js';
import { ok, type Result } from '../../model/result.js';
import { clusterTopology } from './cluster.js';
import { sentinelTopology } from './sentinel.js';

/** Where the one server is that may be written. */
export interface Topology {
  /** Asks anew every time, within about a second. The error says whom was asked and what they said. */
  readonly locate: () => Promise<Result<HostPort, string>>;
  /** A server has named another one, which is believed for a few seconds before the others are asked again. */
  readonly moved: (to: HostPort) => void;
}

/** Asks one node one question. The error names the node. */
export type Ask = (node: HostPort, command: readonly string[]) => Promise<Result<unknown, string>>;

/** The topology that the URL says. */
export function topologyOf(address: RedisAddress, ask: Ask, clock: Clock): Topology {
  if (address.kind === 'sentinel') return sentinelTopology(address, ask, clock);
  if (address.kind === 'cluster') return clusterTopology(address, ask, clock);
  const [node = { host: 'localhost', port: 6379 }] = address.nodes;
  return { locate: () => Promise.resolve(ok(node)), moved: () => undefined };
}
