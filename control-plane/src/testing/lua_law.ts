import type { Sources } from './import_law.js';

/** Each layer may require those of a lower or its own rank: init → phase → worker → core. */
const RANK: Readonly<Record<string, number>> = { core: 0, worker: 1, phase: 2, init: 3 };

/** What core must be free of, and the reason that a failure gives. */
const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\bngx\b/, 'ngx, so that it runs under plain LuaJIT'],
  [/\bio\s*\.\s*\w+/, 'I/O'],
  [/\bos\s*\.\s*\w+/, 'the clock and the system: time comes in as an argument'],
  [/\bmath\s*\.\s*random(?:seed)?\b/, 'randomness: rolls come in as arguments'],
];

/** The one module that may read a clock (its head says why), and what nobody else may do. */
const CLOCK = 'worker/clock.lua';
const TIME: readonly (readonly [RegExp, string])[] = [
  [
    /\bngx\s*\.\s*(?:now|time|today|update_time|localtime|utctime|http_time|cookie_time)\b|\bstart_time\b|\bos\s*\.\s*(?:time|date|clock)\b|\b(?:clock_gettime|gettimeofday|ngx_current_msec)\b/,
    'clock.now() for what waits or measures, clock.wall() for what people read',
  ],
  [/:\s*(?:expire|ttl)\s*\(/, 'worker/lease.lua: dictionaries expire by the wall clock'],
];

/** The text without comments, strings kept (module names stand in them). */
function withoutComments(source: string): string {
  return source.replace(/--\[(=*)\[[\s\S]*?\]\1\]/g, '').replace(/--[^\n]*/g, '');
}

function withoutStrings(source: string): string {
  return source.replace(/"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, '""');
}

/** Module name → the `ebbgate.*` modules it requires. Keys of `sources` are like `core/wire.lua`, `init.lua`. */
export function luaGraph(sources: Sources): ReadonlyMap<string, readonly string[]> {
  const graph = new Map<string, readonly string[]>();
  for (const [path, source] of sources) {
    const required = [
      ...withoutComments(source).matchAll(/\brequire\s*,?\s*\(?\s*["'](ebbgate(?:\.[\w.]+)?)["']/g),
    ];
    graph.set(
      moduleOf(path),
      required.map((match) => match[1] ?? ''),
    );
  }
  return graph;
}

/** Every breach of `phase → worker → core`, everything in core that is not pure, and every clock but the one. */
export function luaBreaches(sources: Sources): readonly string[] {
  const found: string[] = [];
  for (const [module, required] of luaGraph(sources)) {
    const rank = rankOf(module);
    if (rank === undefined) found.push(`${module}: lives in none of core, worker, phase`);
    for (const target of required) {
      const other = rankOf(target);
      if (other === undefined || rank === undefined || other <= rank) continue;
      found.push(`${module} requires ${target}: the way is phase → worker → core, never back`);
    }
  }
  for (const [path, source] of sources) {
    const code = withoutComments(source);
    for (const [pattern, instead] of path === CLOCK ? [] : TIME)
      if (pattern.test(code))
        found.push(
          `${path} uses ${String(pattern.exec(code)?.[0])}: time comes from ${CLOCK} alone; use ${instead}`,
        );
  }
  for (const [path, source] of sources) {
    if (!path.startsWith('core/')) continue;
    const code = withoutStrings(withoutComments(source));
    for (const [pattern, what] of IMPURE)
      if (pattern.test(code))
        found.push(`${path} uses ${String(pattern.exec(code)?.[0])}: core is free of ${what}`);
  }
  return found;
}

function moduleOf(path: string): string {
  const name = path.replace(/\.lua$/, '').replaceAll('/', '.');
  return name === 'init' ? 'ebbgate' : `ebbgate.${name}`;
}

function rankOf(module: string): number | undefined {
  return RANK[module === 'ebbgate' ? 'init' : (module.split('.')[1] ?? '')];
}
