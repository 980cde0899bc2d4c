import type { Registration, RegistryProblem, RegistryView, UnreadNode } from '../model/registration.js';
import type { Result } from '../model/result.js';

/** What one node of a registry root says. */
export type ParsedNode =
  | { readonly kind: 'service'; readonly service: string }
  | {
      readonly kind: 'instance';
      readonly result: Result<Registration, RegistryProblem>;
      /** What is worth saying besides. */
      readonly hint?: RegistryProblem | null;
    }
  /** Looks like an instance, and stands where none is read. */
  | { readonly kind: 'stray'; readonly service: string; readonly path: string }
  /** Could not be read. */
  | { readonly kind: 'unread'; readonly node: UnreadNode; readonly problem: RegistryProblem }
  | { readonly kind: 'problem'; readonly problem: RegistryProblem }
  | { readonly kind: 'nothing' };

/**
 * The view that these nodes make, sorted by service, then id. Of two nodes with one identity in a service the younger
 * wins. That is a problem only if they name different addresses: a registrar that came back before its old session
 * ended leaves two nodes that mean the same instance.
 */
export function composeView(nodes: Iterable<ParsedNode>): RegistryView {
  const services = new Set<string>();
  const problems: RegistryProblem[] = [];
  const winners = new Map<string, Registration>();
  const unread: UnreadNode[] = [];
  const strays = new Map<string, string[]>();
  for (const node of nodes) {
    if (node.kind === 'service') services.add(node.service);
    else if (node.kind === 'problem') problems.push(node.problem);
    else if (node.kind === 'unread') {
      unread.push(node.node);
      problems.push(node.problem);
      if (node.node.service !== null) services.add(node.node.service);
    } else if (node.kind === 'stray') {
      strays.set(node.service, [...(strays.get(node.service) ?? []), node.path]);
    } else if (node.kind === 'instance') {
      const { result, hint = null } = node;
      if (hint !== null) problems.push(hint);
      if (result.ok) enter(result.value, winners, problems);
      // A folder holds no JSON, and the hint says so better.
      else if (hint === null || result.error.code !== 'bad_json') problems.push(result.error);
    }
  }
  for (const [service, paths] of strays) problems.push(misplaced(service, paths.sort(compare)));
  return {
    instances: [...winners.values()].sort((a, b) => compare(a.service, b.service) || compare(a.id, b.id)),
    problems: problems.sort((a, b) => compare(a.path, b.path)),
    unread,
    services: [...services].sort(),
  };
}

/** One for all of a service: a whole root may be written in another layout. */
function misplaced(service: string, paths: readonly string[]): RegistryProblem {
  const [first = ''] = paths;
  const folder = first.slice(0, first.lastIndexOf('/'));
  const which = paths.length === 1 ? `${first} looks` : `${String(paths.length)} nodes, like ${first}, look`;
  const message = `${which} like an instance and is not read: register below ${folder}/providers`;
  return {
    ...{ service, path: folder, code: 'misplaced_node', field: '' },
    message: paths.length === 1 ? message : message.replace('and is not', 'and are not'),
  };
}

function enter(found: Registration, winners: Map<string, Registration>, problems: RegistryProblem[]): void {
  const key = `${found.service}|${found.id}`;
  const standing = winners.get(key);
  const younger = standing === undefined || isYounger(found, standing) ? found : standing;
  winners.set(key, younger);
  if (standing === undefined) return;
  const older = younger === found ? standing : found;
  if (older.host === younger.host && older.port === younger.port) return;
  problems.push({
    service: older.service,
    path: older.path,
    code: 'duplicate_id',
    field: 'id',
    message: `id ${older.id} is also registered by ${younger.path}, which is younger and is used; give each instance its own id`,
  });
}

/** The path decides between nodes of one transaction. */
function isYounger(a: Registration, b: Registration): boolean {
  return compare(a.incarnation, b.incarnation) > 0 || (a.incarnation === b.incarnation && a.path > b.path);
}

/** By code unit, whatever the locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
