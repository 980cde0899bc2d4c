import type { IntentRecord } from '../model/intent.js';
import { eligible, type ServiceSet } from '../model/set.js';
import type { StandingProblem } from '../model/standing_problem.js';
import type { ServiceMembers } from './membership.js';

/** What is wrong with a service by its own registrations, record and set, whatever gateways and other services say. */
export function problemsOf(
  set: ServiceSet,
  members: ServiceMembers,
  record: IntentRecord,
  /** Why the version before serves instead; null if it does not. */
  fallback: string | null,
): readonly StandingProblem[] {
  const { service } = set;
  const found = persistentNodes(service, members);
  if ((record.spec.routes ?? []).length > 0 && !set.peers.some(eligible))
    found.push({
      ...{ code: 'no_instance', service },
      message: 'it has a route and no instance that takes requests',
    });
  if (fallback !== null) found.push({ code: 'fell_back', service, message: fallback });
  return found;
}

/** One for all of a service: its instances may be registered so on purpose. */
export function persistentNodes(service: string, members: ServiceMembers): StandingProblem[] {
  const paths: string[] = [];
  for (const { presence, registration } of members.values())
    if (presence === 'present' && registration.persistent) paths.push(registration.path);
  const [first] = paths;
  if (first === undefined) return [];
  const which = paths.length === 1 ? first : `${String(paths.length)} nodes, like ${first},`;
  const message = `registered by persistent nodes (${which}): nothing removes them when their process dies`;
  // The folder of the first: it stays the same while nodes come and go.
  const path = first.slice(0, Math.max(first.lastIndexOf('/'), 0));
  return [{ code: 'persistent_node', service, path, message }];
}
