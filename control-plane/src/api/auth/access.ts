import type { Identity } from './identity.js';
import { matchesGlob, EVERYTHING } from '../../model/glob.js';
import { reaches, type Role, type Rung } from '../../model/role.js';
import { Refusal } from '../refusal.js';

/*
 * What each route asks of whoever calls it: a role, and that its token is for what the request is about. The table of roles, and
 * the test that walks through all of them, are made from these declarations.
 */

/** What the token has to be for. */
export type About =
  /** No service in particular. */
  | 'nothing'
  /** The service in the path. */
  | 'service'
  /** Every service in which the selector finds an instance. */
  | 'selector'
  /** The services of what the id in the path names; what is of others does not exist for the caller. */
  | 'named'
  /** Answers only what is of the token's services. */
  | 'shown'
  /** The gateway in the path, for role `gateway`; all services, for everybody else. */
  | 'gateway'
  /** All services: a token with a narrower pattern is refused. */
  | 'all';

/** What a route asks for. */
export interface Access {
  /** The least role of the ladder; `any` = whoever has a token, `open` = everybody. */
  readonly role: Rung | 'any' | 'open';
  readonly about: About;
  /** A machine's role that may as well. */
  readonly also?: Exclude<Role, Rung>;
  /** Members of the body that need a higher role. */
  readonly members?: Readonly<Record<string, Rung>>;
}

/** What the caller may see and touch, as handlers ask for it. */
export interface Reach {
  readonly role: Role;
  /** A pattern over services. */
  readonly services: string;
  /** True if the caller may see what is of `service`. */
  readonly sees: (service: string) => boolean;
  /** True if the caller may see what is of no service, or of all. */
  readonly seesAll: boolean;
}

/** What an identity reaches by services. A token for gateways reaches none. */
export function reachOf({ role, scope }: Identity): Reach {
  const services = role === 'gateway' ? '' : scope;
  const sees = (service: string): boolean => matchesGlob(services, service);
  return { role, services, sees, seesAll: services === EVERYTHING };
}

/**
 * Throws `forbidden` unless `identity` may do what the route asks for, as far as its path says: what a selector finds is checked
 * by whoever decides, and what an id names where it is looked up.
 */
export function checkAccess(
  access: Access,
  identity: Identity,
  params: Readonly<Record<string, unknown>>,
): void {
  const { role, scope } = identity;
  if (!suffices(access, role)) throw forbidden(`Your role is ${role}, and this needs ${needed(access)}.`);
  const { service, gateway } = params;
  if (access.about === 'service' && typeof service === 'string' && !reachOf(identity).sees(service))
    throw forbidden(`This token is for the services ${scope}, not for ${service}.`);
  if (access.about === 'gateway' && role === 'gateway') {
    if (typeof gateway === 'string' && matchesGlob(scope, gateway)) return;
    throw forbidden(`This token is for the gateways ${scope}, not for ${String(gateway)}.`);
  }
  if ((access.about === 'all' || access.about === 'gateway') && scope !== EVERYTHING)
    throw forbidden(`This concerns all services, and this token is for ${scope}.`);
}

/** Throws `forbidden` if `body` has a member that needs a higher role than the caller has. */
export function checkMembers(access: Access, { role }: Identity, body: unknown): void {
  if (typeof body !== 'object' || body === null) return;
  for (const [member, rung] of Object.entries(access.members ?? {}))
    if (Object.hasOwn(body, member) && !reaches(role, rung))
      throw forbidden(`Your role is ${role}, and ${member} needs ${rung}.`, `body.${member}`);
}

function suffices({ role: least, also }: Access, role: Role): boolean {
  if (least === 'any' || least === 'open' || role === also) return true;
  return reaches(role, least);
}

function needed({ role, also }: Access): string {
  return also === undefined ? role : `${role} or ${also}`;
}

function forbidden(detail: string, field = 'header.authorization'): Refusal {
  return new Refusal({ code: 'forbidden', field, detail: `${detail} ebbgate whoami shows what you may do.` });
}

/** What a route asks for, in words: the cells of the table. */
export function spellAccess({ role, about, also, members }: Access): {
  readonly role: string;
  readonly about: string;
} {
  const names = role === 'open' ? 'nobody is asked' : role === 'any' ? 'any' : needed({ role, about, also });
  const more = Object.entries(members ?? {}).map(([member, rung]) => `; \`${member}\`: ${rung}`);
  return { role: `${names}${more.join('')}`, about: ABOUT[about] };
}

const ABOUT: Readonly<Record<About, string>> = {
  nothing: 'no service',
  service: 'the service in the path',
  selector: 'every service in which the selector finds an instance',
  named: 'the services of what is named; else it does not exist (404)',
  shown: 'only what is of its services is shown',
  gateway: 'all services; of role `gateway` the gateway in the path',
  all: 'all services (`*`)',
};
