import { createHash } from 'node:crypto';
import type { Document, EncodedDocument } from '../model/set.js';

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
  const { balancer, timeouts, retry, health } = document;
  return {
    v: 1,
    service: document.service,
    balancer: { algorithm: balancer.algorithm },
    timeouts: { connect_ms: timeouts.connect_ms, send_ms: timeouts.send_ms, read_ms: timeouts.read_ms },
    retry: { tries: retry.tries },
    health: { max_fails: health.max_fails, fail_timeout_ms: health.fail_timeout_ms },
    peers: document.peers.map(({ id, host, port, version, weight, down, state }) => {
      return { id, host, port, version, weight, down, state };
    }),
  };
}

/** Orders names by code unit, as the contract wants it, independent of any locale. */
export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
