import type { ContractVersion } from '../model/contract.js';
import { NO_INTENT, type StoredIntent } from '../model/intent.js';
import type { RouteSpec } from '../model/route.js';
import type { EncodedDocument } from '../model/set.js';
import { compileService, goneOf, type CompiledService } from './compile.js';
import { encode, writtenIn } from './encode.js';
import type { ServiceMembers } from './membership.js';
import { persistentNodes } from './service_problems.js';

/** Services for which it cannot be read what was decided: their sets and routes stay as they were published. */
export interface Withheld {
  /** Service → why. */
  readonly services: ReadonlyMap<string, string>;
  readonly published: ReadonlyMap<string, EncodedDocument>;
}

/** A service as it was published, instead of a compiled one. */
export function asPublished(
  service: string,
  members: ServiceMembers,
  published: EncodedDocument | undefined,
  why: string,
): CompiledService {
  const document = published?.document;
  const set =
    document && 'peers' in document ? document : compileService(service, new Map(), NO_INTENT, 0).set;
  const sentence = `kept as it was published: what was decided for ${service} cannot be read (${why})`;
  return {
    set,
    explained: new Map(set.peers.map((peer) => [peer.id, { peer, why: [sentence] }])),
    valid_until: Infinity,
    fallback: null,
    gone: goneOf(members),
    problems: persistentNodes(service, members),
  };
}

/** The routes that services ask for by their records, and those that are published of withheld ones; no service without one. */
export function wantedRoutes(
  intents: ReadonlyMap<string, StoredIntent>,
  withheld: Withheld['services'],
  published: ReadonlyMap<string, readonly RouteSpec[]>,
): ReadonlyMap<string, readonly RouteSpec[]> {
  const wanted = new Map<string, readonly RouteSpec[]>();
  for (const [service, { record }] of intents) {
    const { routes = [] } = record.spec;
    if (routes.length > 0) wanted.set(service, routes);
  }
  for (const [service, routes] of published) if (withheld.has(service)) wanted.set(service, routes);
  return wanted;
}

/** What was published, for gateways that may not understand the version that it was written in. */
export function writtenAs(
  published: EncodedDocument | undefined,
  contract: ContractVersion,
): EncodedDocument | undefined {
  const isOther = published && 'peers' in published.document && writtenIn(published.payload) !== contract;
  return isOther ? encode(published.document, contract) : published;
}
