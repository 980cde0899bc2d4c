/*
 * The limits of a published set besides those of its spec (model/service_spec.ts). Both languages keep to them:
 * docs/contract/spec.json is written from here, and the gateway's reader is tested against it.
 */

/** A gateway refuses a longer payload. */
export const MAX_SET_BYTES = 4_194_304;
/** A set has at most so many peers. */
export const MAX_PEERS = 10_000;
/** The ports of peers, and how much one may weigh; only ratios matter. */
export const PEER_PORT = { min: 1, max: 65_535 } as const;
export const PEER_WEIGHT = { min: 0, max: 1_000_000 } as const;
/** The longest host and path of a route, in characters. */
export const MAX_ROUTE_HOST = 253;
export const MAX_ROUTE_PATH = 1_024;
