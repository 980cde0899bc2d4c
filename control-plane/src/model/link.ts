import type { LinkState } from './ports.js';

const ORDER: readonly LinkState['state'][] = ['connecting', 'degraded', 'connected'];

/** The worse of two links of one dependency; of two alike the first. */
export function worseLink(one: LinkState, other: LinkState): LinkState {
  return ORDER.indexOf(other.state) < ORDER.indexOf(one.state) ? other : one;
}
