/** What an instance is doing in a published set. A gateway treats a state it does not know as not eligible. */
export type PeerState =
  | 'up'
  /** Lost, not deregistered, under the shrink guard: still used. */
  | 'suspect'
  /** Weight 0 by an operator's drain or by `leaving`; what it holds may end. */
  | 'draining'
  /** Registered but says it is not ready. */
  | 'unready'
  /** Taken out by an operator at once. */
  | 'isolated'
  /** A drain that stopped waiting. */
  | 'cut'
  /** Vanished; listed until its last request is gone. */
  | 'gone';

/** One instance as the gateway sees it. Key order is the order on the wire. */
export interface Peer {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly version: string;
  /** 0 … 1,000,000; only ratios inside one set matter. */
  readonly weight: number;
  readonly down: boolean;
  readonly state: PeerState;
}

export type Algorithm = 'weighted_round_robin';

export interface Balancer {
  readonly algorithm: Algorithm;
}
/** Milliseconds, 1 … 86,400,000. */
export interface Timeouts {
  readonly connect_ms: number;
  readonly send_ms: number;
  readonly read_ms: number;
}
/** `tries` counts the first one: 1 = no retry. 1 … 5. */
export interface Retry {
  readonly tries: number;
}
export interface Health {
  readonly max_fails: number;
  readonly fail_timeout_ms: number;
}

/** Contract v1: the set of one service. Peers are sorted by id. Bytes and hash are reproducible. */
export interface ServiceSet {
  readonly v: 1;
  readonly service: string;
  readonly balancer: Balancer;
  readonly timeouts: Timeouts;
  readonly retry: Retry;
  readonly health: Health;
  readonly peers: readonly Peer[];
}

/** A service that is no more. May be pruned later, because absence means removal once sealed. */
export interface Tombstone {
  readonly v: 1;
  readonly service: string;
  readonly removed: true;
}

/** `host`: exact, `*.suffix`, or `*` for any. `path`: a prefix at segment borders, starting with `/`. */
export interface Route {
  readonly host: string;
  readonly path: string;
  readonly service: string;
}

/** Contract v1: all routes, published under the name `@routes`, sorted by host, then path. */
export interface RouteTable {
  readonly v: 1;
  readonly service: '@routes';
  readonly routes: readonly Route[];
}

export type Document = ServiceSet | Tombstone | RouteTable;

/** A document with its exact bytes and their SHA-1 in hex (a checksum, not a signature). */
export interface EncodedDocument {
  readonly service: string;
  readonly document: Document;
  readonly payload: string;
  readonly hash: string;
}

/** A document as it stands in Redis. `at` is RFC 3339. */
export interface PublishedDocument extends EncodedDocument {
  readonly epoch: number;
  readonly generation: number;
  readonly at: string;
}

/** True if new requests may go to `peer`. */
export function eligible(peer: Peer): boolean {
  return (peer.state === 'up' || peer.state === 'suspect') && peer.weight > 0 && !peer.down;
}
