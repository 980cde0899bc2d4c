import type { Clock } from '../../model/ports.js';
import type { RedisAddress } from '../../model/redis_url.js';
import { ok } from '../../model/result.js';
import { clusterTopology } from './cluster.js';
import { sentinelTopology } from './sentinel.js';
import type { Ask, Topology } from './topology.js';

/** The topology that the URL says. */
export function topologyOf(address: RedisAddress, ask: Ask, clock: Clock): Topology {
  if (address.kind === 'sentinel') return sentinelTopology(address, ask, clock);
  if (address.kind === 'cluster') return clusterTopology(address, ask, clock);
  const [node = { host: 'localhost', port: 6379 }] = address.nodes;
  return { locate: () => Promise.resolve(ok(node)), moved: () => undefined };
}
