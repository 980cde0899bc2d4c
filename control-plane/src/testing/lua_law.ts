import type { Sources } from './import_law.js';
import { luaTokens, type LuaToken } from './lua_tokens.js';

/*
 * What Lua modules may require, and what only a look at the text can find. Which globals each folder may name is luacheck's
 * to say (.luacheckrc): it knows scopes.
 */

type Layer = 'core' | 'worker' | 'phase' | 'init';

/** Each layer may require those of a lower or its own rank: init → phase → worker → core. */
const RANK: Readonly<Record<Layer, number>> = { core: 0, worker: 1, phase: 2, init: 3 };

/** What is not ours, by the layer that may require it. */
const FOREIGN: Readonly<Record<Layer, RegExp>> = {
  core: /^(?:bit|table\.\w+)$/,
  worker: /^(?:bit|table\.\w+|ffi|cjson|ngx\.(?:semaphore|ssl)|resty\.redis|nginx\.redis)$/,
  phase: /^(?:bit|table\.\w+|ffi|ngx\.(?:balancer|resp|ssl)|resty\.core\.base)$/,
  init: /^resty\.core$/,
};

/** The one module of core that may have ffi (its head says for what). */
const TYPED_ARRAY = 'core/typed_array.lua';

/** The one module that may read a clock (its head says why), and what nobody else may do. */
const CLOCK = 'worker/clock.lua';
const LEASE = 'worker/lease.lua';

interface Require {
  /** null = a name that is not written out. */
  readonly module: string | null;
  readonly line: number;
}

/** Module name → the `ebbgate.*` modules it requires. Keys of `sources` are like `core/wire.lua`, `init.lua`. */
export function luaGraph(sources: Sources): ReadonlyMap<string, readonly string[]> {
  const graph = new Map<string, readonly string[]>();
  for (const [path, source] of sources) {
    const required = requiresOf(luaTokens(source)).flatMap(({ module }) => module ?? []);
    graph.set(
      moduleOf(path),
      required.filter((module) => /^ebbgate(?:\.|$)/.test(module)),
    );
  }
  return graph;
}

/** Every breach of `phase → worker → core` and of what each may require, every clock but the one, every hole in luacheck. */
export function luaBreaches(sources: Sources): readonly string[] {
  return [...sources].flatMap(([path, source]) => {
    const comments: string[] = [];
    const tokens = luaTokens(source, comments);
    return [
      ...requireBreaches(path, tokens),
      ...timeBreaches(path, tokens),
      ...(path.startsWith('core/') ? libraryBreaches(path, tokens) : []),
      ...comments
        .filter((comment) => /^\s*luacheck:/.test(comment))
        .map(() => `${path} shows luacheck what to overlook: .luacheckrc alone says that`),
    ];
  });
}

function requireBreaches(path: string, tokens: readonly LuaToken[]): readonly string[] {
  const layer = layerOf(moduleOf(path));
  if (layer === undefined) return [`${moduleOf(path)}: lives in none of core, worker, phase`];
  return requiresOf(tokens).flatMap(({ module, line }) => {
    const at = `${path}:${String(line)}`;
    if (module === null) return `${at} requires what is not written out: \`require 'name'\` shows the way`;
    if (!/^ebbgate(?:\.|$)/.test(module)) {
      const may = FOREIGN[layer].test(module) || (module === 'ffi' && path === TYPED_ARRAY);
      return may ? [] : `${at} requires ${module}: ${layer} may require ${String(FOREIGN[layer])} of others`;
    }
    const other = layerOf(module);
    if (other !== undefined && RANK[other] <= RANK[layer]) return [];
    return `${at} requires ${module}: the way is phase → worker → core, never back`;
  });
}

/** Strings count too: ffi declares C by them. */
function timeBreaches(path: string, tokens: readonly LuaToken[]): readonly string[] {
  return tokens.flatMap(({ kind, text, line }, index) => {
    const at = `${path}:${String(line)} uses ${text}`;
    if (path !== CLOCK && /\b(?:clock_gettime|gettimeofday|ngx_current_msec)\b/.test(text))
      return `${at}: time comes from ${CLOCK} alone`;
    if (kind === 'name' && /^(?:expire|ttl)$/.test(text) && tokens[index - 1]?.text === ':')
      return `${at}: dictionaries expire by the wall clock; ${LEASE} does not`;
    return [];
  });
}

/** Handed on as a whole, a library could be asked for anything under another name. */
function libraryBreaches(path: string, tokens: readonly LuaToken[]): readonly string[] {
  return tokens.flatMap(({ kind, text, line }, index) => {
    const [before, after] = [tokens[index - 1]?.text, tokens[index + 1]?.text];
    if (kind !== 'name' || !/^(?:math|string|table)$/.test(text)) return [];
    if (before === '.' || before === ':' || after === '.' || after === '=') return [];
    return `${path}:${String(line)} uses ${text} as a whole: name what it takes of it, as in ${text}.x`;
  });
}

/** `require 'x'`, `require('x')`, `pcall(require, 'x')`. */
function requiresOf(tokens: readonly LuaToken[]): readonly Require[] {
  return tokens.flatMap(({ kind, text, line }, index) => {
    if (kind !== 'name' || text !== 'require' || /^[.:]$/.test(tokens[index - 1]?.text ?? '')) return [];
    const [first, second, third] = [1, 2, 3].map((step) => tokens[index + step]);
    if (first?.kind === 'string') return { module: first.text, line };
    const closes = third?.kind === 'other' && third.text === ')';
    const called = first?.kind === 'other' && (first.text === '(' || first.text === ',');
    return { module: called && second?.kind === 'string' && closes ? second.text : null, line };
  });
}

function moduleOf(path: string): string {
  const name = path.replace(/\.lua$/, '').replaceAll('/', '.');
  return name === 'init' ? 'ebbgate' : `ebbgate.${name}`;
}

function layerOf(module: string): Layer | undefined {
  const name = module === 'ebbgate' ? 'init' : (module.split('.')[1] ?? '');
  return Object.hasOwn(RANK, name) ? (name as Layer) : undefined;
}
