import { createHash } from 'node:crypto';
import type { Document, EncodedDocument, Peer } from '../model/set.js';
import { wireSections } from './spec.js';

/** A document's bytes as they go to Redis (contract v1) with their SHA-1. Equal documents give equal bytes. */
export function encode(document: Document): EncodedDocument {
  const payload = JSON.stringify(ordered(document));
  return { service: document.service, document, payload, hash: sha1(payload) };
}

/** Lower-case hex SHA-1 of UTF-8 text: a checksum, not a signature. */
export function sha1(value: string): string {
  return createHash('sha1').update(value).digest('hex');
}

/** The same document with its keys in the contract's order, whatever order they were made in. */
function ordered(document: Document): Document {
  if ('removed' in document) return { v: 1, service: document.service, removed: true };
  if ('routes' in document) {
    const routes = document.routes.map(({ host, path, service }) => ({ host, path, service }));
    return { v: 1, service: document.service, routes };
  }
  return {
    v: 1,
    service: document.service,
    ...wireSections(document),
    peers: document.peers.map(orderedPeer),
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

/** Orders names by code unit, as the contract wants it, independent of any locale. */
export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
