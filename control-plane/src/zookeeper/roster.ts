import { z } from 'zod';
import type { RosterEntry } from '../model/gateway.js';
import type { RosterEdit, RosterStore } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { ANY } from './fence.js';
import type { ZooKeeperLink } from './link.js';
import type { Codec } from './truth_codec.js';
import { createTruthStore, showRecord, type StorePlace } from './truth_store.js';

/** What a newer release says beside it is kept for as long as the entry is of the same start of the gateway. */
const entrySchema = z.looseObject({
  boot: z.string(),
  host: z.string(),
  since: z.string(),
  contracts: z.array(z.int().min(0)).max(16).optional(),
  gone: z.object({ at: z.string(), how: z.enum(['left', 'forgotten']) }).optional(),
});

/** The roster at `<root>/gateways`, which it creates at the first contact. */
export function createRosterStore(link: ZooKeeperLink, place: StorePlace): RosterStore {
  return createTruthStore(
    link,
    place,
    codec(() => link.clock.wall()),
  );
}

/** `wall` dates what cannot be read at all. */
function codec(wall: () => number): Codec<RosterEntry, RosterEdit, RosterEntry> {
  return {
    noun: 'roster',
    folder: 'gateways',
    decode: (data, { name }) => parseRosterEntry(name, data),
    show: showRecord((found, last) => last ?? unread(found.name, found.nodes.get('')?.ctime ?? wall())),
    substitute: (name, { ctime }) => unread(name, ctime),
    change: ({ id, entry }, { at }) => {
      const data = entry && Buffer.from(JSON.stringify(entry));
      return ok({ name: id, nodes: [{ path: at(id), data, etag: ANY }] });
    },
  };
}

/** Reads the bytes of the entry of gateway `id`. */
export function parseRosterEntry(id: string, data: Buffer): Result<RosterEntry, string> {
  const entry = entryOf(id, data);
  return entry ? ok(entry) : err('it is no JSON object with boot, host and since');
}

function entryOf(id: string, data: Buffer): RosterEntry | null {
  try {
    const { gone, contracts, ...entry } = entrySchema.parse(JSON.parse(data.toString('utf8')));
    return {
      ...{ id, ...entry },
      ...(contracts === undefined ? {} : { contracts }),
      ...(gone === undefined ? {} : { gone }),
    };
  } catch {
    return null;
  }
}

/** An entry that cannot be read still counts: its gateway must be heard before anything is drained. */
function unread(id: string, since: number): RosterEntry {
  return { id, boot: '', host: '', since: new Date(since).toISOString() };
}
