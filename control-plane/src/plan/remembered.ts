import type { Registration } from '../model/registration.js';
import type { Peer, PeerState, PublishedDocument } from '../model/set.js';
import type { Member, Membership, Presence, ServiceMembers } from './membership.js';

/**
 * Members as the published sets remember them, for a controller that starts: what was published and is not in the
 * first view has vanished, and is not simply unknown. Registered weights cannot be read back; effective ones are used instead,
 * brought back to the scale of registered ones where version shares (`isShared`) had stretched them.
 */
export function membersOf(
  published: readonly PublishedDocument[],
  now: number,
  isShared: (service: string) => boolean = () => false,
): Membership {
  const membership = new Map<string, ServiceMembers>();
  for (const { document, service } of published) {
    if (!('peers' in document)) continue;
    const members = new Map<string, Member>();
    const weightOf = isShared(service) ? unshared(document.peers) : plainWeight;
    for (const peer of document.peers) {
      const registration: Registration = {
        service,
        id: peer.id,
        host: peer.host,
        port: peer.port,
        version: peer.version,
        weight: peer.state === 'up' || peer.state === 'suspect' ? weightOf(peer) : USUAL_WEIGHT,
        zone: peer.zone ?? '',
        backup: peer.backup ?? false,
        labels: {},
        ready: peer.state !== 'unready',
        // Draining by an operator is in the intents too; what is left here had said that it was leaving.
        leaving: peer.state === 'draining',
        persistent: false,
        path: '',
        incarnation: '',
      };
      members.set(peer.id, { registration, ...rememberedPresence(peer.state), since: now, vanished_at: now });
    }
    if (members.size > 0) membership.set(service, members);
  }
  return membership;
}

/** What an instance registers with that names no weight. */
const USUAL_WEIGHT = 100;

function plainWeight(peer: Peer): number {
  return Math.min(peer.weight, 10_000);
}

/** Inside a version only ratios are known: its heaviest instance is taken to have the usual weight. */
function unshared(peers: readonly Peer[]): (peer: Peer) => number {
  const heaviest = new Map<string, number>();
  for (const { version, weight } of peers)
    heaviest.set(version, Math.max(heaviest.get(version) ?? 0, weight));
  return ({ version, weight }) => {
    const most = heaviest.get(version) ?? 0;
    if (most === 0) return USUAL_WEIGHT;
    return weight === 0 ? 0 : Math.max(1, Math.round((USUAL_WEIGHT * weight) / most));
  };
}

function rememberedPresence(state: PeerState): { readonly presence: Presence } {
  return { presence: state === 'gone' ? 'gone' : 'missing' };
}
