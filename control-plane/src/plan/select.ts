import type { Problem } from '../model/problem.js';
import type { Selector } from '../model/mutation.js';
import { err, ok, type Result } from '../model/result.js';
import { beyond } from '../model/role.js';
import type { DecisionState } from './decision.js';

/** Instance ids by service, both sorted as they are known. */
export type Selection = ReadonlyMap<string, readonly string[]>;

/**
 * The instances a selector means: all its members must match. Ids may also name an instance that is not registered
 * but has an intent. Selecting nothing, or an id that nobody knows, is a failure: a typing error must not look done. So is to
 * select anything of a service that `services` does not match: before anything else of that service is said.
 */
export function select(
  selector: Selector,
  state: DecisionState,
  services: string,
): Result<Selection, Problem> {
  const { service, ids, version, host, zone, all } = selector;
  if (ids === undefined && version === undefined && host === undefined && zone === undefined && !all)
    return err({
      code: 'invalid_request',
      field: 'selector',
      detail: 'The selector must name ids, version, host or zone, or all',
    });
  if ((ids !== undefined || all) && service === undefined)
    return err({
      code: 'invalid_request',
      field: 'selector.service',
      detail: ids === undefined ? 'all needs a service' : 'ids need the service they belong to',
    });
  const foreign = service === undefined ? null : beyond(services, [service]);
  if (foreign) return err(foreign);
  const known =
    service === undefined ? [...new Set([...state.membership.keys(), ...state.intents.keys()])] : [service];
  const selection = new Map<string, readonly string[]>();
  for (const name of known.sort()) {
    const found = matching(name, selector, state);
    if (found.length > 0) selection.set(name, found);
  }
  const missing = ids?.filter((id) => !selection.get(service ?? '')?.includes(id)) ?? [];
  if (missing.length > 0)
    return err({
      code: 'not_found',
      field: 'selector.ids',
      detail: `${service ?? ''} has no such instance: ${missing.join(', ')}. See GET /v1/services/${service ?? ''}/instances`,
    });
  if (selection.size === 0)
    return err({ code: 'not_found', field: 'selector', detail: 'No instance matches the selector' });
  const others = beyond(services, selection.keys());
  return others ? err(others) : ok(selection);
}

function matching(service: string, selector: Selector, state: DecisionState): readonly string[] {
  const members = state.membership.get(service);
  const intended = Object.keys(state.intents.get(service)?.record.instances ?? {});
  const candidates = new Set([...(members?.keys() ?? []), ...intended]);
  return [...candidates].sort().filter((id) => {
    const registration = members?.get(id)?.registration;
    return (
      (selector.ids === undefined || selector.ids.includes(id)) &&
      (selector.version === undefined || registration?.version === selector.version) &&
      (selector.host === undefined || registration?.host === selector.host) &&
      (selector.zone === undefined || registration?.zone === selector.zone)
    );
  });
}
