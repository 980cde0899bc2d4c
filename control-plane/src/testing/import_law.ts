import { posix } from 'node:path';
import { parseSync, Visitor } from 'rolldown/utils';

/** Source text by its path relative to `control-plane/src` (or `lua/ebbgate`), with forward slashes. */
export type Sources = ReadonlyMap<string, string>;

/** Folder (or file of the root) → the folders it may import besides itself, and why no other. */
const LAW: Readonly<Record<string, { readonly may: readonly string[] | 'all'; readonly because: string }>> = {
  model: { may: [], because: 'the nouns need nothing else, so that everything can be said in their terms' },
  plan: { may: ['model'], because: 'a plan is a pure function over the model' },
  registry: { may: ['model'], because: 'a format reads bytes, whatever store they came from' },
  zookeeper: { may: ['model'], because: 'I/O folders meet only through model/ports.ts' },
  'zookeeper/access.ts': {
    may: ['model', 'disk'],
    because: 'of the disk it takes the one reader of certificates and keys, and nothing else',
  },
  'zookeeper/access_fields.ts': {
    may: ['model', 'disk'],
    because: 'of the disk it takes what the names of such files may be, and nothing else',
  },
  redis: { may: ['model'], because: 'I/O folders meet only through model/ports.ts' },
  disk: { may: ['model'], because: 'I/O folders meet only through the ports of the model' },
  render: { may: ['model'], because: 'rendering is text from options, whoever asks' },
  api: { may: ['model'], because: 'the API sees the controller only as the port ControlPlane' },
  registrar: { may: ['model'], because: 'I/O folders meet only through model/ports.ts' },
  hooks: { may: ['model'], because: 'I/O folders meet only through the ports of the model' },
  local: { may: ['model'], because: 'what starts servers must not know what runs in them' },
  testing: { may: ['model'], because: 'builders speak the model and nothing else' },
  'testing/controller_rig.ts': {
    may: 'all',
    because: 'it wires a controller to real servers, as main.ts does',
  },
  'testing/zookeeper_rig.ts': {
    may: ['model', 'local', 'zookeeper', 'clock.ts'],
    because: 'it opens links and sessions to a real ZooKeeper, and wires nothing else',
  },
  'testing/controller_plays.ts': { may: 'all', because: 'it looks into the stores of that controller' },
  'testing/cli_rig.ts': { may: 'all', because: 'it puts the command line in front of a real API' },
  'testing/api_rig.ts': { may: 'all', because: 'it puts the real API in front of a plane in memory' },
  controller: { may: ['model', 'plan'], because: 'the shell around the plan gets its I/O handed in' },
  'config.ts': {
    may: ['model', 'registry', 'redis', 'hooks', 'zookeeper', 'disk'],
    because: 'options are checked by the very parsers of those who use them, before anything else exists',
  },
  'clock.ts': { may: ['model'], because: 'the one real clock is handed in by whoever wires' },
  'main.ts': { may: 'all', because: 'it wires' },
  cli: { may: 'all', because: 'it wires' },
  'testkit.ts': { may: 'all', because: 'it is the door of e2e/ and bench/, and no part of the product' },
};

/** What only tests, scenarios and benchmarks may import. */
const FOR_TESTS: readonly string[] = ['testing', 'testkit.ts'];

/** Where the sources of the control plane lie, seen from the root of the repository. */
const CONTROL_PLANE = 'control-plane/';

/** The one file of the control plane that e2e/ and bench/ may import. */
const DOOR = 'control-plane/src/testkit.ts';

/** Contracts are tests that several implementations pass. */
const isTest = (path: string): boolean => /\.(test|contract)\.ts$/.test(path);

/** The layer of a file: its folder, or its own name when it lies in the root. */
function layerOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path;
}

/** What `source` imports: modules named by import, export … from, import(), and import types. */
function importsOf(source: string): readonly string[] {
  const found: string[] = [];
  const see = (named: { readonly type: string; readonly value?: unknown } | null): void => {
    if (named?.type === 'Literal' && typeof named.value === 'string') found.push(named.value);
  };
  const visitor = new Visitor({
    ImportDeclaration: (node) => see(node.source),
    ExportNamedDeclaration: (node) => see(node.source),
    ExportAllDeclaration: (node) => see(node.source),
    ImportExpression: (node) => see(node.source),
    TSImportType: (node) => see(node.source),
  });
  const { program, errors } = parseSync('source.ts', source);
  if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('; '));
  visitor.visit(program);
  return found;
}

/** The file a relative import means, or undefined for a package. */
function resolve(from: string, target: string): string | undefined {
  if (!target.startsWith('.')) return undefined;
  return posix.join(posix.dirname(from), target).replace(/\.js$/, '.ts');
}

/** Every breach of the import law, one sentence each with the reason; empty = lawful. Test files may import all. */
export function breaches(sources: Sources): readonly string[] {
  const found: string[] = [];
  for (const [path, source] of sources) {
    if (isTest(path)) continue;
    const layer = layerOf(path);
    const law = LAW[path] ?? LAW[layer];
    if (law === undefined) {
      found.push(`${path}: ${layer} has no place in the import law; give it one`);
      continue;
    }
    for (const target of importsOf(source)) {
      const sentence = breachOf(path, layer, law, target);
      if (sentence !== undefined) found.push(`${path} imports ${target}: ${sentence}`);
    }
  }
  return found;
}

function breachOf(
  path: string,
  layer: string,
  law: (typeof LAW)[string],
  target: string,
): string | undefined {
  const resolved = resolve(path, target);
  if (resolved === undefined) return undefined;
  if (isTest(resolved)) return 'a test is imported by tests alone';
  const other = layerOf(resolved);
  if (other === layer) return undefined;
  if (FOR_TESTS.includes(other) && !FOR_TESTS.includes(layer))
    return 'what tests need is not part of what is built';
  if (law.may === 'all' || law.may.includes(other)) return undefined;
  return `${layer} may import ${law.may.length === 0 ? 'nothing else' : `only ${law.may.join(' and ')}`}, because ${law.because}`;
}

/**
 * Every import of an inner file of the control plane in `sources`, whose paths are relative to the root of the repository
 * (`e2e/…`, `bench/…`); empty = none. Such imports would nail inner files to their places.
 */
export function doorBreaches(sources: Sources): readonly string[] {
  const found: string[] = [];
  for (const [path, source] of sources) {
    for (const target of importsOf(source)) {
      const resolved = resolve(path, target);
      if (resolved === undefined || !resolved.startsWith(CONTROL_PLANE) || resolved === DOOR) continue;
      found.push(`${path} imports ${target}: take it from ${DOOR}, and put it there if it is missing`);
    }
  }
  return found;
}

/** Import graph of TypeScript sources, type imports included. */
export function typescriptGraph(sources: Sources): ReadonlyMap<string, readonly string[]> {
  const graph = new Map<string, readonly string[]>();
  for (const [path, source] of sources) {
    const targets = importsOf(source).map((target) => resolve(path, target));
    graph.set(
      path,
      targets.filter((target) => target !== undefined),
    );
  }
  return graph;
}

/** One line `a → b → a` per cycle found by a depth-first walk; empty = none. */
export function cycles(graph: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const walk = (node: string, way: readonly string[]): void => {
    const start = way.indexOf(node);
    if (start >= 0) found.push([...way.slice(start), node].join(' → '));
    if (start >= 0 || done.has(node)) return;
    for (const next of graph.get(node) ?? []) walk(next, [...way, node]);
    done.add(node);
  };
  for (const node of graph.keys()) walk(node, []);
  return found;
}
