import { NO_INTENT, type InstanceIntent, type IntentRecord } from '../model/intent.js';
import { ROUTES } from '../model/names.js';
import type { Registration, RegistryView } from '../model/registration.js';
import type { Peer, PublishedDocument, ServiceSet } from '../model/set.js';
import { routesIn } from './compile_routes.js';
import { decidedIn } from './spec.js';

/*
 * What the published sets still show of intents that nobody remembers any more. `min_available`, who wanted it, why and until
 * when are in no set; all that steers traffic is.
 */

/** Registered weights end here; above it are only weights that version shares have stretched. */
const MOST_WEIGHT = 10_000;
/**
 * How long a recalled drain of an instance that is not registered lasts. It may be a person's, or the instance had said
 * itself that it was leaving: a set does not show that. For ever it would keep the second from coming back.
 */
const UNSURE_MS = 3_600_000;

/** Service → the record that would publish what is published now, for every published service. */
export function recallRecords(
  published: ReadonlyMap<string, PublishedDocument>,
  view: RegistryView,
  wall: number,
): ReadonlyMap<string, IntentRecord> {
  const routes = routesIn(published.get(ROUTES));
  const records = new Map<string, IntentRecord>();
  for (const { document } of published.values()) {
    if (!('peers' in document)) continue;
    const { service } = document;
    const spec = {
      ...decidedIn(document),
      ...(routes.has(service) ? { routes: routes.get(service) ?? [] } : {}),
    };
    const instances = intentsIn(document, (id) => view.instances.get(service)?.get(id), wall);
    if (Object.keys(spec).length + Object.keys(instances).length > 0)
      records.set(service, { ...NO_INTENT, spec, instances });
  }
  return records;
}

function intentsIn(
  set: ServiceSet,
  registrationOf: (id: string) => Registration | undefined,
  wall: number,
): Readonly<Record<string, InstanceIntent>> {
  const serving = set.peers.filter(({ state }) => state === 'up' || state === 'suspect');
  const heaviest = Math.max(0, ...serving.map(({ weight }) => weight));
  const steered = serving.some(({ id, weight }) => weight !== (registrationOf(id)?.weight ?? weight));
  const weightOf = ({ weight }: Peer): number => {
    if (heaviest <= MOST_WEIGHT || weight === 0) return weight;
    return Math.max(1, Math.round((weight * MOST_WEIGHT) / heaviest));
  };
  const common = {
    by: 'controller',
    reason: 'recalled from the published set',
    at: new Date(wall).toISOString(),
  };
  const intents = set.peers.flatMap((peer): [string, InstanceIntent][] => {
    const { id, state } = peer;
    if (state === 'isolated' || state === 'cut') return [[id, { ...common, state }]];
    if (state === 'draining') {
      const registration = registrationOf(id);
      if (registration?.leaving) return [];
      const expires = registration ? {} : { expires: new Date(wall + UNSURE_MS).toISOString() };
      return [[id, { ...common, ...expires, state }]];
    }
    const backup = peer.backup ?? false;
    const intent = {
      ...(steered && serving.includes(peer) ? { weight: weightOf(peer) } : {}),
      ...(backup === (registrationOf(id)?.backup ?? backup) ? {} : { backup }),
    };
    return Object.keys(intent).length > 0 ? [[id, { ...common, ...intent }]] : [];
  });
  return Object.fromEntries(intents);
}
