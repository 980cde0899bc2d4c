import type { IntentRecord } from '../model/intent.js';
import type { ConsumerRegistration, IntentStore, Log, RosterStore, Term } from '../model/ports.js';
import { advanceOperations, expireIntents } from '../plan/operations.js';
import { isSilent, proveDrained } from '../plan/proof.js';
import { drainTarget, type World } from '../plan/world.js';

/** What a pass does besides publishing: everything here may fail and is tried again by the next pass. */
export interface UpkeepDeps {
  readonly intents: IntentStore;
  readonly roster: RosterStore;
  readonly consumers: ConsumerRegistration;
  readonly log: Log;
  readonly term: Term | null;
  readonly fence: () => void;
  readonly doubt: (reason: string) => void;
  readonly drop: (service: string, ids: readonly string[]) => void;
}

/** Consumers, roster, ended operations, expired wishes, and members that are gone for good. */
export async function upkeep(world: World, deps: UpkeepDeps): Promise<void> {
  deps.consumers.follow([...world.membership.keys()]);
  healDamage(world, deps);
  dropEmpty(world, deps);
  if (!deps.term) return;
  await enroll(world, deps, deps.term);
  await recordEnds(world, deps, deps.term);
}

/** A gateway that is heard and not in the roster joins it; one that started anew is noted. */
async function enroll(world: World, deps: UpkeepDeps, term: Term): Promise<void> {
  const { roster, fleet } = world.witnesses;
  if (!world.witnesses.complete) return;
  for (const [id, heard] of fleet.heard) {
    if (isSilent(heard, world.witnesses) || roster.get(id)?.boot === heard.heartbeat.boot) continue;
    const { boot, host } = heard.heartbeat;
    const since = new Date(world.wall).toISOString();
    const put = await deps.roster.put(term, { id, boot, host, since });
    if (put.ok) deps.log.info({ gateway: id, boot, host }, 'gateway joined the roster');
    else if (put.error.kind === 'fenced') deps.fence();
    if (!put.ok) return;
  }
}

/** Writes down which operations ended and which wishes expired: one compare-and-set per service. */
async function recordEnds(world: World, deps: UpkeepDeps, term: Term): Promise<void> {
  const target = (service: string, instance: string) => drainTarget(world, service, instance);
  for (const [service, stored] of world.intents) {
    const advanced = advanceOperations(service, stored.record, target, world.witnesses, world.wall);
    const record: IntentRecord | null = expireIntents(advanced ?? stored.record, world.wall) ?? advanced;
    if (!record) continue;
    const written = await deps.intents.write(term, [{ service, etag: stored.etag, record }]);
    if (written.ok) {
      const fresh = record.events.filter(
        (event) => event.by === 'controller' && !stored.record.events.includes(event),
      );
      for (const event of fresh)
        deps.log.info({ service, event: event.event, instance: event.instance }, event.message);
    } else if (written.error.kind === 'fenced') deps.fence();
    else if (written.error.kind === 'unavailable') return;
  }
}

/** Members that are gone leave the set once no gateway holds a request for them. */
function dropEmpty(world: World, deps: UpkeepDeps): void {
  for (const [service, members] of world.membership) {
    const empty = [...members]
      .filter(([id, member]) => {
        if (member.presence !== 'gone') return false;
        return proveDrained(service, id, drainTarget(world, service, id), world.witnesses).drained;
      })
      .map(([id]) => id);
    if (empty.length > 0) deps.drop(service, empty);
  }
}

/** Refusals that mean damage in Redis, not a fault of the set. */
const DAMAGE = new Set(['hash_mismatch', 'bad_json']);

/** A set that a gateway found damaged is written again, with all others: Redis is in doubt. */
function healDamage(world: World, deps: UpkeepDeps): void {
  for (const [id, heard] of world.witnesses.fleet.heard) {
    if (isSilent(heard, world.witnesses)) continue;
    for (const { service, generation, code } of heard.heartbeat.rejected) {
      const standing = world.published.get(service);
      // At or above what we wrote: below it, the refusal is of something that is replaced already.
      const present = standing?.epoch === world.epoch && generation >= standing.generation;
      if (DAMAGE.has(code) && present)
        return void deps.doubt(`gateway ${id} found the set of ${service} damaged (${code})`);
    }
  }
}
