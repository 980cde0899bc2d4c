import { err, ok, type Result } from '../model/result.js';
import type { Credential } from './credentials.js';
import { digestId } from './credentials.js';

/** Who may do what with one node. */
export interface AclEntry {
  readonly scheme: string;
  readonly id: string;
  /** Bits: 1 read, 2 write, 4 create, 8 delete, 16 admin. */
  readonly permissions: number;
}

/** Who may do what besides the users whose credentials a session has: those may do everything. */
export interface AclRules {
  /** Ebbgate's own nodes. */
  readonly own?: { readonly root: string; readonly others: readonly AclEntry[] };
  /** What Ebbgate creates below the registry roots. */
  readonly registry?: { readonly roots: readonly string[]; readonly others: readonly AclEntry[] };
}

const BITS: ReadonlyMap<string, number> = new Map([
  ['r', 1],
  ['w', 2],
  ['c', 4],
  ['d', 8],
  ['a', 16],
]);
/** The bit that reads. */
export const READ = 1;
const ALL = 31;
/** What everybody may do everything with: the ACL of a node that is created without credentials. */
export const OPEN: readonly AclEntry[] = [{ scheme: 'world', id: 'anyone', permissions: ALL }];

const HINT =
  'must be none, or entries scheme:id:permissions as in zkCli, comma-separated, like world:anyone:r or digest:user:hash:rc, of the schemes world, digest, ip and sasl';

/** ACL entries as zkCli writes them, or `none`. */
export function parseAcl(text: string): Result<readonly AclEntry[], string> {
  if (text.trim() === 'none') return ok([]);
  const entries: AclEntry[] = [];
  for (const part of text.split(',')) {
    const [, scheme = '', id = '', letters = ''] =
      /^(world|digest|ip|sasl):(\S+):([rwcda]+)$/.exec(part.trim()) ?? [];
    if (scheme === '' || (scheme === 'world') !== (id === 'anyone')) return err(HINT);
    if (scheme === 'digest' && !/^[^:]+:[A-Za-z0-9+/]{27}=$/.test(id)) return err(HINT);
    const permissions = letters.split('').reduce((bits, letter) => bits | (BITS.get(letter) ?? 0), 0);
    entries.push({ scheme, id, permissions });
  }
  return ok(entries);
}

/** The entries as zkCli writes them. */
export function spellAcl(entries: readonly AclEntry[]): string {
  const letters = (permissions: number): string =>
    ['c', 'd', 'r', 'w', 'a'].filter((letter) => permissions & (BITS.get(letter) ?? 0)).join('');
  return entries.map(({ scheme, id, permissions }) => `${scheme}:${id}:${letters(permissions)}`).join(',');
}

/** The ACL that a node at `path` is created with; above the roots, and without credentials, it is open to everybody. */
export function aclAt(
  path: string,
  rules: AclRules,
  credentials: readonly Credential[],
): readonly AclEntry[] {
  if (credentials.length === 0) return OPEN;
  const places = [
    ...(rules.own ? [{ root: rules.own.root, others: rules.own.others }] : []),
    ...(rules.registry?.roots.map((root) => ({ root, others: rules.registry?.others ?? [] })) ?? []),
  ].filter(({ root }) => path === root || path.startsWith(`${root}/`));
  const [nearest] = places.toSorted((a, b) => b.root.length - a.root.length);
  return nearest === undefined ? OPEN : [...fullAccess(credentials), ...nearest.others];
}

/** Everything, for each of the users. */
export function fullAccess(credentials: readonly Credential[]): readonly AclEntry[] {
  return credentials.map((one) => ({ scheme: 'digest', id: digestId(one), permissions: ALL }));
}

/** True if both allow the same, in any order. */
export function sameAcl(one: readonly AclEntry[], other: readonly AclEntry[]): boolean {
  const spell = (acl: readonly AclEntry[]): string =>
    [...new Set(acl.map((entry) => spellAcl([entry])))].toSorted().join();
  return spell(one) === spell(other);
}
