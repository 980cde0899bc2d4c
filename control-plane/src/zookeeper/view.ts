import type { Registration, RegistryProblem, RegistryView } from '../model/registration.js';
import type { Result } from '../model/result.js';

/** What one node of a registry root says. */
export type ParsedNode =
  | { readonly kind: 'service'; readonly service: string }
  | { readonly kind: 'instance'; readonly result: Result<Registration, RegistryProblem> }
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
  for (const node of nodes) {
    if (node.kind === 'service') services.add(node.service);
    else if (node.kind === 'problem') problems.push(node.problem);
    else if (node.kind === 'instance' && !node.result.ok) problems.push(node.result.error);
    else if (node.kind === 'instance' && node.result.ok) enter(node.result.value, winners, problems);
  }
  return {
    instances: [...winners.values()].sort((a, b) => compare(a.service, b.service) || compare(a.id, b.id)),
    problems: problems.sort((a, b) => compare(a.path, b.path)),
    services: [...services].sort(),
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

/** Transaction ids are hex of equal length; the path decides between nodes of one transaction. */
function isYounger(a: Registration, b: Registration): boolean {
  return compare(a.czxid, b.czxid) > 0 || (a.czxid === b.czxid && a.path > b.path);
}

/** By code unit, whatever the locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
