import { own } from '../model/dictionary.js';
import { addressId } from '../model/names.js';
import { SECTIONS } from '../model/service_spec.js';
import { PEER_DEFAULTS } from '../model/set.js';
import { isObject, type Members } from '../model/shape.js';

type Json = Readonly<Record<string, unknown>>;

/** A set of version 2 with every member that version 1 needs; all else as it is. */
export function filledSet(document: unknown): unknown {
  if (!isObject(document) || document['v'] !== 2 || !('peers' in document)) return document;
  const { peers } = document;
  return {
    ...document,
    ...filledSections(document),
    v: 1,
    peers: Array.isArray(peers) ? peers.map(filledPeer) : peers,
  };
}

/** What a section must have is filled in; so is the whole of a section that version 1 needs. */
function filledSections(document: Json): Json {
  const filled = Object.entries(SECTIONS).flatMap(([name, { rule, always }]) => {
    const given = own(document, name);
    if (given === undefined && !always) return [];
    const isSection = rule.kind === 'object' && (isObject(given) || given === undefined);
    return [[name, isSection ? filledMembers(rule.members, given) : given]];
  });
  return Object.fromEntries(filled) as Json;
}

function filledMembers(members: Members, given: Json = {}): Json {
  const needed = Object.entries(members).flatMap(([name, { always, fallback }]) =>
    always === true && fallback !== undefined ? [[name, fallback] as const] : [],
  );
  return { ...Object.fromEntries(needed), ...given };
}

function filledPeer(peer: unknown): unknown {
  if (!isObject(peer)) return peer;
  const { host, port } = peer;
  const id = typeof host === 'string' && typeof port === 'number' ? addressId(host, port) : undefined;
  return { id, ...PEER_DEFAULTS, ...peer };
}
