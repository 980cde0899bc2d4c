import { matchesGlob } from './glob.js';
import type { Problem } from './problem.js';

/*
 * What a token may do. The roles of the ladder contain those before them; the others are for machines, and contain nothing else.
 */

/** The ladder, least first. */
export const LADDER = ['viewer', 'operator', 'releaser', 'admin'] as const;
export type Rung = (typeof LADDER)[number];

/** What each role is for. */
export const ROLES = {
  viewer: 'reads: a wall screen, a monitor',
  operator:
    'drains, isolates, weights, freezes, the roster, and stops and takes back releases: who runs instances and hosts',
  releaser: 'releases, shares of versions and the settings of a service: CI',
  admin: 'routes, tokens, and the word that a data loss is accepted',
  gateway: 'lets the gateways of its pattern leave and join, and nothing else: a gateway host',
  registrar: 'asks whether the instances of its services are accepted and drained: `ebbgate register`',
} as const satisfies Readonly<Record<string, string>>;

export type Role = keyof typeof ROLES;

/** The names of all roles. */
export const ROLE_NAMES = Object.keys(ROLES) as readonly Role[];

/** True if `role` is `needed` or contains it. */
export function reaches(role: Role, needed: Rung): boolean {
  const at = (LADDER as readonly string[]).indexOf(role);
  return at >= LADDER.indexOf(needed);
}

/** The refusal of a change that touches services beyond `glob`; it names them. Null if all match. */
export function beyond(glob: string, services: Iterable<string>): Problem | null {
  const others = [...new Set(services)].filter((service) => !matchesGlob(glob, service)).sort();
  if (others.length === 0) return null;
  const detail = `This token is for the services ${glob}, and this touches ${others.join(', ')}. Nothing was changed.`;
  return { code: 'forbidden', detail };
}
