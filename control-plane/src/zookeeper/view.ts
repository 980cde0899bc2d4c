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
  /** Looks like an instance, and is where none is read. */
  | { readonly kind: 'stray'; readonly service: string; readonly path: string }
  /** Could not be read. */
  | { readonly kind: 'unread'; readonly node: UnreadNode; readonly problem: RegistryProblem }
  | { readonly kind: 'problem'; readonly problem: RegistryProblem }
  | { readonly kind: 'nothing' };

/** What the nodes of one service make together. */
export interface ServiceView {
  /** By id, sorted. */
  readonly instances: ReadonlyMap<string, Registration>;
  readonly problems: readonly RegistryProblem[];
  readonly unread: readonly UnreadNode[];
  /** True if its node exists, as far as is known. */
  readonly exists: boolean;
}

/**
 * The view of one service, from all its nodes, whatever their order. Of two nodes with one identity the younger wins. That is a
 * problem only if they name different addresses: a registrar that came back before its old session ended leaves two nodes that
 * mean the same instance.
 */
export function composeService(nodes: readonly ParsedNode[]): ServiceView {
  const problems: RegistryProblem[] = [];
  const found: Registration[] = [];
  const unread: UnreadNode[] = [];
  const strays: Extract<ParsedNode, { kind: 'stray' }>[] = [];
  let exists = false;
  for (const node of nodes) {
    if (node.kind === 'service') exists = true;
    else if (node.kind === 'problem') problems.push(node.problem);
    else if (node.kind === 'unread') {
      unread.push(node.node);
      problems.push(node.problem);
      exists ||= node.node.service !== null;
    } else if (node.kind === 'stray') strays.push(node);
    else if (node.kind === 'instance') {
      const { result, hint = null } = node;
      if (hint !== null) problems.push(hint);
      if (result.ok) found.push(result.value);
      // A folder has no JSON in it, and the hint says so better.
      else if (hint === null || result.error.code !== 'bad_json') problems.push(result.error);
    }
  }
  if (strays.length > 0) problems.push(misplaced(strays));
  return {
    instances: youngest(found, problems),
    problems: problems.sort((a, b) => compare(a.path, b.path)),
    unread,
    exists,
  };
}

/**
 * The view that these services make; null means what belongs to none. What `before` has of the same objects it keeps.
 */
export function composeView(
  services: ReadonlyMap<string | null, ServiceView>,
  before: RegistryView | null = null,
): RegistryView {
  const instances = new Map<string, ReadonlyMap<string, Registration>>();
  const names: string[] = [];
  const problems: RegistryProblem[] = [];
  const unread: UnreadNode[] = [];
  for (const service of [...services.keys()].sort((a, b) => compare(a ?? '', b ?? ''))) {
    const view = services.get(service);
    if (!view) continue;
    if (service !== null && view.instances.size > 0) instances.set(service, view.instances);
    if (service !== null && view.exists) names.push(service);
    if (view.problems.length > 0) problems.push(...view.problems);
    if (view.unread.length > 0) unread.push(...view.unread);
  }
  problems.sort((a, b) => compare(a.path, b.path));
  return {
    instances,
    problems: kept(before?.problems, problems),
    unread: kept(before?.unread, unread),
    services: kept(before?.services, names),
  };
}

/** One service before and after its nodes changed; undefined where it has none. */
export interface ServiceChange {
  readonly was: ServiceView | undefined;
  readonly is: ServiceView | undefined;
}

/** The view after `changes`; null where more than instances may differ, and all must be composed. */
export function recomposeView(
  before: RegistryView,
  changes: ReadonlyMap<string | null, ServiceChange>,
): RegistryView | null {
  const instances = new Map(before.instances);
  for (const [service, { was, is }] of changes) {
    if (service === null || !isPlain(was) || !isPlain(is)) return null;
    instances.set(service, is.instances);
  }
  return { ...before, instances };
}

/** It has instances, and nothing is wrong. */
function isPlain(view: ServiceView | undefined): view is ServiceView {
  if (view === undefined || !view.exists || view.instances.size === 0) return false;
  return view.problems.length === 0 && view.unread.length === 0;
}

/** `before` if it has the same entries, so that whoever compares by reference sees that nothing changed. */
function kept<T>(before: readonly T[] | undefined, now: readonly T[]): readonly T[] {
  return before?.length === now.length && before.every((one, index) => one === now[index]) ? before : now;
}

/** One for all of a service: a whole root may be written in another layout. */
function misplaced(strays: readonly { readonly service: string; readonly path: string }[]): RegistryProblem {
  const [first = ''] = strays.map(({ path }) => path).sort(compare);
  const { service = null } = strays[0] ?? {};
  const folder = first.slice(0, first.lastIndexOf('/'));
  const which =
    strays.length === 1 ? `${first} looks` : `${String(strays.length)} nodes, like ${first}, look`;
  const message = `${which} like an instance and is not read: register below ${folder}/providers`;
  return {
    ...{ service, path: folder, code: 'misplaced_node', field: '' },
    message: strays.length === 1 ? message : message.replace('and is not', 'and are not'),
  };
}

/** One registration per id. Those that another address has taken the id from become problems. */
function youngest(
  found: readonly Registration[],
  problems: RegistryProblem[],
): ReadonlyMap<string, Registration> {
  const instances = new Map<string, Registration>();
  for (const one of found.toSorted((a, b) => compare(a.id, b.id) || byAge(b, a))) {
    const younger = instances.get(one.id);
    if (younger === undefined) instances.set(one.id, one);
    else if (younger.host !== one.host || younger.port !== one.port) problems.push(taken(one, younger));
  }
  return instances;
}

function taken({ service, path, id }: Registration, younger: Registration): RegistryProblem {
  const message = `id ${id} is also registered by ${younger.path}, which is younger and is used; give each instance its own id`;
  return { service, path, code: 'duplicate_id', field: 'id', message };
}

/** Oldest first. The path decides between nodes of one transaction. */
function byAge(a: Registration, b: Registration): number {
  return compare(a.incarnation, b.incarnation) || compare(a.path, b.path);
}

/** By code unit, whatever the locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
