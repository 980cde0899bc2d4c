import type { Peer } from '../../control-plane/src/testkit.js';
import { peer } from '../../e2e/harness/publish.js';

/** `count` instances at the addresses of a lab; `weight` makes one set differ from the next. */
export function manyPeers(ports: readonly number[], count: number, weight = 100): readonly Peer[] {
  return Array.from({ length: count }, (_, i) => {
    const port = ports[i % ports.length] ?? 0;
    return peer({ id: `instance-${i}`, host: '127.0.0.1', port, version: 'v1' }, weight);
  });
}

/** Names of `count` services. */
export function manyServices(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `service-${i}`);
}
