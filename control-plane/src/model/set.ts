import type { Breaker, BreakerState } from './breaker.js';
import type { Auth } from './auth.js';
import type { KeysDocument } from './key_documents.js';
import type { Concurrency } from './concurrency.js';
import type { Limit } from './limit.js';
import type { RouteSpec } from './route.js';

/** What an instance is doing in a published set. A gateway treats a state it does not know as not eligible. */
export type PeerState =
  | 'up'
  /** Lost, not deregistered, under the shrink guard: still used. */
  | 'suspect'
  /** Weight 0 by an operator's drain or by `leaving`; its open requests may end. */
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
  readonly zone?: string;
  /** Used only while no other peer may be. */
  readonly backup?: boolean;
  /** While draining it still serves the clients whose cookie names it. */
  readonly keep_sticky?: boolean;
}

/** What the absence of these members says, from version 2 of the contract on; that of `id` is the address. */
export const PEER_DEFAULTS = { version: '', weight: 100, down: false, state: 'up' } as const;

/*
 * The sections of a set. A member that may be absent has a default (docs/contract/wire.md), and is left out where its
 * value is the default: what nobody asked for changes no bytes.
 */

export const ALGORITHMS = [
  'weighted_round_robin',
  'random',
  'least_connections',
  'ewma',
  'ip_hash',
  'consistent_hash',
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** What a request hashes to. `path` alone has no name. */
export interface HashOn {
  readonly source: 'header' | 'cookie' | 'query' | 'path';
  readonly name?: string;
}
/** Clients keep their instance by a cookie. */
export interface Sticky {
  readonly cookie: string;
  /** Seconds; 0 = until the browser closes. */
  readonly max_age_s?: number;
}
export interface Balancer {
  readonly algorithm: Algorithm;
  /** Needed by `consistent_hash`. */
  readonly hash_on?: HashOn;
  /** Of the mean load, in percent; 0 = no bound. */
  readonly max_load_percent?: number;
  readonly prefer_zone?: boolean;
  readonly sticky?: Sticky;
}
/** Milliseconds, 1 … 86,400,000; 0 = none where a member may be absent. */
export interface Timeouts {
  readonly connect_ms: number;
  readonly send_ms: number;
  readonly read_ms: number;
  readonly try_ms?: number;
  readonly total_ms?: number;
}
export const RETRY_CLASSES = ['error', 'gateway_error', 'server_error'] as const;
export type RetryClass = (typeof RETRY_CLASSES)[number];
export interface Retry {
  /** The first one included: 1 = no retry. 1 … 5. */
  readonly tries: number;
  readonly on?: RetryClass;
  /** True: POST, PATCH and LOCK are repeated too, once sent. */
  readonly non_idempotent?: boolean;
  /** Retries per requests over ten seconds; 100 = no budget. */
  readonly budget_percent?: number;
  readonly budget_min_per_s?: number;
}
/** How each gateway probes each instance. */
export interface HealthCheck {
  readonly type: 'http' | 'tcp';
  readonly path?: string;
  /** The Host header; empty = the instance's address. */
  readonly host?: string;
  /** 0 = the instance's. */
  readonly port?: number;
  readonly interval_ms?: number;
  readonly timeout_ms?: number;
  /** Successes in a row until it counts as well. */
  readonly rise?: number;
  /** Failures in a row until it counts as failing. */
  readonly fall?: number;
  /** Ranges, ends included. */
  readonly statuses?: readonly (readonly [number, number])[];
  /** Must occur in the first 64 KiB of the body; empty = any body. */
  readonly body?: string;
}
export interface Health {
  /** 0 = failures of requests never take an instance out. */
  readonly max_fails: number;
  readonly fail_timeout_ms: number;
  readonly fail_statuses?: readonly number[];
  /** Failures in a row; 0 = never. */
  readonly consecutive_fails?: number;
  /** Of at least `min_requests` in `window_ms`; 0 = never. */
  readonly failure_percent?: number;
  readonly slow_percent?: number;
  /** 0 = 3 times the median of the service. */
  readonly slow_ms?: number;
  readonly min_requests?: number;
  readonly window_ms?: number;
  /** 0 = 5 minutes, or `fail_timeout_ms` if that is longer. */
  readonly max_ejection_ms?: number;
  readonly max_ejected_percent?: number;
  readonly slow_start_ms?: number;
  readonly check?: HealthCheck;
}
export interface Upstream {
  readonly scheme: 'http' | 'https' | 'grpc' | 'grpcs';
  /** A TLS profile of the gateway's configuration. */
  readonly tls?: string;
}

/**
 * The set of one service, in the form of contract version 1 whatever version it was or will be written in (model/contract.ts). Peers
 * are sorted by id. Bytes and hash are reproducible.
 */
export interface ServiceSet {
  readonly v: 1;
  readonly service: string;
  readonly balancer: Balancer;
  readonly timeouts: Timeouts;
  readonly retry: Retry;
  readonly health: Health;
  readonly breaker?: Breaker;
  readonly auth?: Auth;
  readonly concurrency?: Concurrency;
  readonly limits?: readonly Limit[];
  readonly upstream?: Upstream;
  /** What an operator says of the breaker; absent = it is left to itself. */
  readonly breaker_forced?: BreakerState;
  readonly peers: readonly Peer[];
}

/** A service that is no more. May be pruned later, because absence means removal once sealed. */
export interface Tombstone {
  readonly v: 1;
  readonly service: string;
  readonly removed: true;
}

/** `host`: exact, `*.suffix`, or `*` for any. `path`: a prefix at segment borders, starting with `/`, if `match` does not say otherwise. */
export interface Route extends RouteSpec {
  readonly service: string;
}

/** All routes, published under the name `@routes`, sorted by host, then path; those with equal ones in the order in which a gateway asks them. */
export interface RouteTable {
  readonly v: 1;
  readonly service: '@routes';
  readonly routes: readonly Route[];
}

export type Document = ServiceSet | Tombstone | RouteTable | KeysDocument;

/** A document with its exact bytes and their SHA-1 in hex (a checksum, not a signature). */
export interface EncodedDocument {
  readonly service: string;
  readonly document: Document;
  readonly payload: string;
  readonly hash: string;
}

/** A document as it is in Redis. `at` is RFC 3339. */
export interface PublishedDocument extends EncodedDocument {
  readonly epoch: number;
  readonly generation: number;
  readonly at: string;
}

/** True if new requests may go to `peer`. */
export function eligible(peer: Peer): boolean {
  return (peer.state === 'up' || peer.state === 'suspect') && peer.weight > 0 && !peer.down;
}
