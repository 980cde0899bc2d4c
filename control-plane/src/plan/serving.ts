import type { InstanceHealth } from '../model/resources.js';
import { outOn, panickingIn } from './describe_health.js';
import type { Member, ServiceMembers } from './membership.js';
import type { World } from './world.js';

/*
 * Who serves, for every guard: drains, isolations, weights, shares and the steps of releases all ask here. An instance serves if
 * it is eligible by its set, registered, and not found ejected or failing by every live gateway. One that a single gateway can
 * still reach serves there, and takes requests that nobody else would; one that no gateway can be asked about may well serve.
 */

/** Why an eligible instance of `service` serves nobody, as one sentence that names it; null if it serves. */
export function unfitness(
  world: Pick<World, 'witnesses'>,
  service: string,
  id: string,
  member: Pick<Member, 'presence'> | undefined,
): string | null {
  if (member?.presence !== 'present') return `the registration of ${id} is missing`;
  const found = outOn(world, service, id);
  return found.length === 0 ? null : `${id} is ${spellFindings(found)}`;
}

/** True for the instances of `service` that serve if their set lets them. */
export function servesIn(
  world: Pick<World, 'witnesses'>,
  service: string,
  members: ServiceMembers,
): (id: string) => boolean {
  return (id) => unfitness(world, service, id, members.get(id)) === null;
}

/**
 * As `servesIn`, for a release, which goes on while a service is ill as a whole: where nobody of `eligible` serves and a gateway
 * ignores health for that reason (panic), health distinguishes nobody, and every registered instance counts.
 */
export function capacityIn(
  world: Pick<World, 'witnesses'>,
  service: string,
  members: ServiceMembers,
  eligible: readonly string[],
): (id: string) => boolean {
  const serves = servesIn(world, service, members);
  if (eligible.some(serves) || panickingIn(world, service).length === 0) return serves;
  return (id) => members.get(id)?.presence === 'present';
}

/** `failing on gateway gw-1 (3 checks failed: status 500)`, `ejected on gateways gw-1 and gw-2 (timed out)` */
export function spellFindings(found: readonly InstanceHealth[]): string {
  const groups = new Map<string, InstanceHealth[]>();
  for (const one of found) {
    const state = one.state === 'half_open' ? 'ejected' : one.state;
    groups.set(state, [...(groups.get(state) ?? []), one]);
  }
  return [...groups].map(([state, ones]) => spellGroup(state, ones)).join(' and ');
}

/** How many gateways, and how many instances, a sentence names. */
const NAMED = 5;

function spellGroup(state: string, ones: readonly InstanceHealth[]): string {
  const gateways = enumerate(ones.map(({ gateway }) => gateway));
  const reason = ones.find((one) => one.reason !== '')?.reason;
  const where = `${state} on gateway${ones.length === 1 ? '' : 's'} ${gateways}`;
  return reason === undefined ? where : `${where} (${reason})`;
}

/** `a`, `a and b`, `a, b and 7 more` */
export function enumerate(names: readonly string[]): string {
  const shown = names.length > NAMED ? [...names.slice(0, NAMED - 1)] : [...names];
  const last = names.length > NAMED ? `${String(names.length - shown.length)} more` : shown.pop();
  return shown.length === 0 ? (last ?? '') : `${shown.join(', ')} and ${last ?? ''}`;
}
