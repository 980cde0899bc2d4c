import { createHash } from 'node:crypto';
import type { AuditEntry } from '../model/audit.js';
import type { FleetReport, Heartbeat, RosterEntry } from '../model/gateway.js';
import type { Origin } from '../model/origin.js';
import type { Registration, RegistryView } from '../model/registration.js';
import type { Document, EncodedDocument, Peer, RouteTable, ServiceSet, Tombstone } from '../model/set.js';
import { ROUTES } from '../model/names.js';

/** Where requests of tests come from. */
export const ORIGIN: Origin = { token: null, from: '127.0.0.1', request_id: 'req-1' };

/** What ann asked for and was done. */
export function buildEntry(fields: Partial<AuditEntry> = {}): AuditEntry {
  return {
    ...ORIGIN,
    ...{ at: '2026-05-01T12:00:00.000Z', by: 'ann', verb: 'drain', object: 'shop/a', services: ['shop'] },
    ...{ changes: [], more_changes: 0, reason: '', force: false, overruled: [], until: null },
    ...{ operation: null, release: null, idempotency_key: null, undoes: null },
    undo: { kind: 'none', why: 'it is a test' },
    ...fields,
  };
}

/** A ready instance of `shop`, version v1, at 10.0.0.1:8080; `id` follows host and port unless it is given. */
export function buildRegistration(fields: Partial<Registration> = {}): Registration {
  const host = fields.host ?? '10.0.0.1';
  const port = fields.port ?? 8080;
  const service = fields.service ?? 'shop';
  const id = fields.id ?? `${host}:${String(port)}`;
  return {
    service,
    id,
    host,
    port,
    version: 'v1',
    weight: 100,
    zone: '',
    backup: false,
    labels: {},
    ready: true,
    leaving: false,
    persistent: false,
    path: `/services/${service}/providers/${id}`,
    incarnation: '0000000000000001',
    ...fields,
  };
}

/** A view of these registrations, each service and id once, and of nothing else. */
export function buildView(
  registrations: readonly Registration[],
  fields: Partial<RegistryView> = {},
): RegistryView {
  const instances = new Map<string, Map<string, Registration>>();
  for (const one of registrations)
    instances.set(
      one.service,
      (instances.get(one.service) ?? new Map<string, Registration>()).set(one.id, one),
    );
  return { instances, problems: [], unread: [], services: [...instances.keys()].sort(), ...fields };
}

/** An eligible peer at 10.0.0.1:8080. */
export function buildPeer(fields: Partial<Peer> = {}): Peer {
  const host = fields.host ?? '10.0.0.1';
  const port = fields.port ?? 8080;
  return {
    id: `${host}:${String(port)}`,
    host,
    port,
    version: 'v1',
    weight: 100,
    down: false,
    state: 'up',
    ...fields,
  };
}

/** The set of `shop` with one eligible peer and the default spec, keys in the order of the wire. */
export function buildSet(fields: Partial<ServiceSet> = {}): ServiceSet {
  return {
    v: 1,
    service: 'shop',
    balancer: { algorithm: 'weighted_round_robin' },
    timeouts: { connect_ms: 500, send_ms: 60_000, read_ms: 60_000 },
    retry: { tries: 2 },
    health: { max_fails: 3, fail_timeout_ms: 10_000 },
    peers: [buildPeer()],
    ...fields,
  };
}

/** What replaces the set of a removed service. */
export function buildTombstone(service = 'shop'): Tombstone {
  return { v: 1, service, removed: true };
}

/** Everything goes to `shop`. */
export function buildRoutes(
  routes: RouteTable['routes'] = [{ host: '*', path: '/', service: 'shop' }],
): RouteTable {
  return { v: 1, service: ROUTES, routes };
}

/** `document` with its bytes and their SHA-1. The keys are written in their order in the object. */
export function buildEncoded(document: Document = buildSet()): EncodedDocument {
  const payload = JSON.stringify(document);
  const hash = createHash('sha1').update(payload, 'utf8').digest('hex');
  return { service: document.service, document, payload, hash };
}

/** What is known of gateways, in the shape that the plan takes. */
interface BuiltWitnesses {
  readonly roster: ReadonlyMap<string, RosterEntry>;
  readonly fleet: FleetReport;
  readonly now: number;
  readonly silent_ms: number;
  readonly left: ReadonlyMap<string, number>;
  readonly shared: ReadonlySet<string>;
  readonly unready: string | null;
  readonly learning: boolean;
}

/** Gateways that were just heard, each by its heartbeat, and nobody else. */
export function buildWitnesses(
  heard: Readonly<Record<string, Partial<Heartbeat>>> = {},
  fields: Partial<BuiltWitnesses> = {},
): BuiltWitnesses {
  const beats = Object.entries(heard).map(
    ([id, beat]) => [id, { heartbeat: buildHeartbeat({ id, ...beat }), changed_at: 0 }] as const,
  );
  return {
    ...{ roster: new Map(), fleet: { complete: true, heard: new Map(beats), listed: new Map() } },
    ...{ now: 0, silent_ms: 5_000, left: new Map(), shared: new Set(), unready: null, learning: false },
    ...fields,
  };
}

/** A beat of `gw-1`, which has applied nothing yet and has no open requests. */
export function buildHeartbeat(fields: Partial<Heartbeat> = {}): Heartbeat {
  return {
    v: 1,
    id: 'gw-1',
    boot: '6f1c2a9e4b7d8035',
    host: 'edge-1',
    seq: 1,
    workers: 2,
    started: 1_795_000_000,
    contracts: [1],
    applied: null,
    rejected: [],
    in_flight: {},
    uncounted: 0,
    ...fields,
  };
}
