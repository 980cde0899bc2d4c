import { createHash } from 'node:crypto';
import { OLDEST_CONTRACT, type ContractVersion } from '../model/contract.js';
import type { KeysDocument } from '../model/key_documents.js';
import type { Auth } from '../model/auth.js';
import type { RouteSpec } from '../model/route.js';
import { addressId } from '../model/names.js';
import {
  type Document,
  type EncodedDocument,
  type Peer,
  PEER_DEFAULTS,
  type ServiceSet,
} from '../model/set.js';
import { decidedIn, routeOnWire, wireSections } from './spec.js';

/**
 * A document's bytes as they go to Redis, in that version of the contract or the one that it needs, with their SHA-1. Equal documents
 * give equal bytes. Tombstones and keys have not changed since version 1, and are written as that for ever; routes that say more than
 * host and path need version 2, and are written in 1 else.
 */
export function encode(document: Document, contract: ContractVersion = OLDEST_CONTRACT): EncodedDocument {
  const isLean = 'peers' in document && Math.max(contract, neededBy(document)) === 2;
  const payload = JSON.stringify(isLean ? lean(document) : ordered(document));
  return { service: document.service, document, payload, hash: sha1(payload) };
}

/**
 * The oldest version in which a set with these sections may be written. What a gateway must not leave out needs one that it refuses if
 * it does not know of it: it then serves what it had, and says so.
 */
export function neededBy(set: Protection): ContractVersion {
  return protectedBy(set).length > 0 ? 2 : OLDEST_CONTRACT;
}

/** What of a set protects, by the names of its members. */
export function protectedBy({
  limits = [],
  auth,
  breaker,
  breaker_forced: word,
  concurrency,
  routes = [],
}: Protection): readonly string[] {
  const opens = (breaker?.failure_percent ?? 0) > 0 || word !== undefined;
  const isBounded = (concurrency?.max_per_instance ?? 0) > 0 || (concurrency?.max_per_service ?? 0) > 0;
  return [
    ...(auth?.type === 'api_key' ? ['auth'] : []),
    ...(limits.length > 0 ? ['limits'] : []),
    ...(opens ? ['breaker'] : []),
    ...(isBounded ? ['concurrency'] : []),
    ...(routes.some(saysMore) ? ['routes'] : []),
  ];
}

/** The members of a set, or of a spec, that may protect. */
type Protection = Pick<ServiceSet, 'limits' | 'breaker' | 'breaker_forced' | 'concurrency'> & {
  readonly auth?: Partial<Auth>;
  readonly routes?: readonly RouteSpec[];
};

/** A gateway that knew host and path alone would send it what it is not for. */
function saysMore(route: RouteSpec): boolean {
  return Object.keys(routeOnWire(route)).some((member) => !['host', 'path', 'name'].includes(member));
}

/** The version that a payload says it is of; 0 if it says none. */
export function writtenIn(payload: string): number {
  return Number(/^\{"v":(\d{1,3})[,}]/.exec(payload)?.[1] ?? 0);
}

/** Lower-case hex SHA-1 of UTF-8 text: a checksum, not a signature. */
export function sha1(value: string): string {
  return createHash('sha1').update(value).digest('hex');
}

/** The same document with its keys in the contract's order, whatever order they were made in. */
function ordered(document: Document): Document {
  if ('keys' in document) return orderedKeys(document);
  if ('removed' in document) return { v: 1, service: document.service, removed: true };
  if ('routes' in document) {
    const routes = document.routes.map(({ service, ...route }) => {
      const { host, path, ...more } = routeOnWire(route);
      return { host, path, service, ...more };
    });
    const v = neededBy({ routes: document.routes });
    return { v: v as 1, service: document.service, routes };
  }
  return {
    v: 1,
    service: document.service,
    ...wireSections(document),
    ...forced(document),
    peers: document.peers.map(orderedPeer),
  };
}

function forced({ breaker_forced }: ServiceSet): Pick<ServiceSet, 'breaker_forced'> {
  return breaker_forced === undefined ? {} : { breaker_forced };
}

function orderedKeys({ service, consumers, keys }: KeysDocument): KeysDocument {
  return {
    ...{ v: 1, service },
    consumers: consumers.map(({ name, services, networks }) => ({
      name,
      ...(services === undefined ? {} : { services }),
      ...(networks === undefined ? {} : { networks }),
    })),
    keys: keys.map(({ hash, id, consumer, expires }) => ({
      ...{ hash, id, consumer },
      ...(expires === undefined ? {} : { expires }),
    })),
  };
}

function orderedPeer(peer: Peer): Peer {
  const { id, host, port, version, weight, down, state, zone = '', backup, keep_sticky: kept } = peer;
  return {
    ...{ id, host, port, version, weight, down, state },
    ...(zone === '' ? {} : { zone }),
    ...(backup === true ? { backup } : {}),
    ...(kept === true ? { keep_sticky: kept } : {}),
  };
}

/** Version 2: nothing that says what its absence says. */
function lean(set: ServiceSet): object {
  return { v: 2, service: set.service, ...decidedIn(set), ...forced(set), peers: set.peers.map(leanPeer) };
}

function leanPeer(peer: Peer): object {
  const { id, host, port, ...rest } = orderedPeer(peer);
  const said = Object.entries(rest).filter(
    ([name, value]) => new Map<string, unknown>(Object.entries(PEER_DEFAULTS)).get(name) !== value,
  );
  return { ...(id === addressId(host, port) ? {} : { id }), host, port, ...Object.fromEntries(said) };
}

/** Orders names by code unit, as the contract wants it, independent of any locale. */
export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
