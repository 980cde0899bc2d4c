import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import {
  type Heartbeat,
  parseDocument,
  type Peer,
  type Position,
  type Route,
  type ServiceSet,
} from '../../control-plane/src/testkit.js';

/** What is written for a set: the document, or any bytes with any hash. */
export interface Written {
  readonly payload: string;
  readonly hash?: string;
}

/** What a gateway says of its limits. */
interface Stats {
  readonly limits?: {
    readonly services: Readonly<Record<string, Readonly<Record<string, object>> | undefined>>;
  };
}

/**
 * Replaces the controller: writes the keys of the wire contract with plain commands, so that the gateway is tested
 * against the contract and not against the publisher.
 */
export class Publishing implements AsyncDisposable {
  readonly redis: Redis;
  epoch: number;
  generation = 0;

  constructor(port: number, epoch = 1_795_000_000, database = 0) {
    this.redis = new Redis<'legacy'>({
      port,
      db: database,
      host: '127.0.0.1',
      maxRetriesPerRequest: 1,
      commandTimeout: 5_000,
    });
    this.redis.on('error', () => undefined); // a server that is away is part of the scenarios
    this.epoch = epoch;
  }

  /** Publishes a set; resolves with its position. */
  set(service: string, peers: readonly Peer[], more: Partial<ServiceSet> = {}): Promise<Position> {
    const document: ServiceSet = {
      v: 1,
      service,
      balancer: { algorithm: 'weighted_round_robin' },
      timeouts: { connect_ms: 500, send_ms: 60_000, read_ms: 60_000 },
      retry: { tries: 2 },
      health: { max_fails: 3, fail_timeout_ms: 10_000 },
      ...more,
      peers: [...peers].sort((a, b) => (a.id < b.id ? -1 : 1)),
    };
    return this.write(service, { payload: JSON.stringify(document) });
  }

  tombstone(service: string): Promise<Position> {
    return this.write(service, { payload: JSON.stringify({ v: 1, service, removed: true }) });
  }

  routes(routes: readonly Route[]): Promise<Position> {
    return this.write('@routes', { payload: JSON.stringify({ v: 1, service: '@routes', routes }) });
  }

  /** Writes bytes as they are, at the next generation, sealed. */
  async write(name: string, { payload, hash = sha1(payload) }: Written): Promise<Position> {
    this.generation += 1;
    const position = { epoch: this.epoch, generation: this.generation };
    const at = new Date().toISOString();
    const [epoch, generation] = [String(position.epoch), String(position.generation)];
    await this.redis
      .multi()
      .hset(`{ebb}:set:${name}`, { epoch, generation, hash, at, payload })
      .zadd('{ebb}:index', generation, name)
      .hset('{ebb}:meta', { epoch, generation, sealed: '1', layout: '1' })
      .publish('{ebb}:changed', `${epoch}:${generation}`)
      .exec();
    return position;
  }

  /** What it counted. */
  async stats(gateway: string): Promise<Stats> {
    return JSON.parse((await this.redis.get(`{ebb}:stats:${gateway}`)) ?? '{}') as Stats;
  }

  async heartbeat(gateway: string): Promise<Heartbeat | null> {
    const text = await this.redis.get(`{ebb}:gw:${gateway}`);
    return text === null ? null : (JSON.parse(text) as Heartbeat);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.redis.disconnect();
    await Promise.resolve();
  }
}

/** The set that a payload of any contract version says. */
export function readSet(payload: string): ServiceSet {
  const document = parseDocument(payload);
  if (!document.ok) throw new Error(`${document.error} in ${payload}`);
  if (!('peers' in document.value)) throw new Error(`no set: ${payload}`);
  return document.value;
}

/** A peer that is up, with the weight given, unless `more` says otherwise. */
export function peer(
  instance: { readonly id: string; readonly host: string; readonly port: number; readonly version: string },
  weight = 100,
  more: Partial<Peer> = {},
): Peer {
  const { id, host, port, version } = instance;
  return { id, host, port, version, weight, down: false, state: 'up', ...more };
}

/** True if `at` is at `target` or after it. */
export function reached(at: Position | null | undefined, target: Position): boolean {
  if (at === null || at === undefined) return false;
  return at.epoch > target.epoch || (at.epoch === target.epoch && at.generation >= target.generation);
}

export function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
