// What each folder of the control plane may take from outside: packages, time, chance and the process. Which folder may
// import which other is checked by control-plane/src/testing/import_law.ts. Plain lint rules, no types: they cost little.

/** Everything but what tests start and use. */
const NO_TESTS = ['**/*.test.ts', '**/*.contract.ts', '**/testing/**'];

const CLOCK = 'Take a Clock (model/clock.ts) as an argument: only clock.ts reads the time and starts timers.';
const CHANCE = 'Take the random numbers as an argument: only main.ts and cli/ make them.';
const PROCESS = 'Take it as an argument: only main.ts and cli/ touch the process.';
const IO =
  'Nothing here talks to the outside, unless by a package that the folder law names (scripts/folder_law.mjs).';

const TIMERS = [
  'setTimeout',
  'setInterval',
  'setImmediate',
  'clearTimeout',
  'clearInterval',
  'clearImmediate',
];

/** What a file may not take from the world around it, by what it would be free of. */
const WORLD = {
  clock: {
    globals: [...TIMERS, 'performance'].map((name) => ({ name, message: CLOCK })),
    properties: [
      ['Date', 'now'],
      ['AbortSignal', 'timeout'],
    ].map(([object, property]) => ({ object, property, message: CLOCK })),
    syntax: [
      { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: CLOCK },
      { selector: 'CallExpression[callee.name="Date"]', message: CLOCK },
      { selector: 'VariableDeclarator[init.name="Date"]', message: CLOCK },
    ],
  },
  chance: {
    globals: [{ name: 'crypto', message: CHANCE }],
    properties: [{ object: 'Math', property: 'random', message: CHANCE }],
    syntax: [{ selector: 'VariableDeclarator[init.name="Math"]', message: CHANCE }],
  },
  process: {
    globals: [{ name: 'process', message: PROCESS }],
    properties: [],
    syntax: [],
  },
  io: {
    globals: [
      'fetch',
      'WebSocket',
      'EventSource',
      'console',
      'navigator',
      'globalThis',
      'global',
      'require',
    ].map((name) => ({ name, message: IO })),
    properties: [],
    syntax: [],
  },
};

/**
 * Folder (or file) of control-plane/src → the packages that its files may import, and what of the world they may touch.
 * `{name: [members]}` allows these members of a package alone. A file's own
 * entry, behind that of its folder, replaces it; `allow` are globals.
 */
const FOLDERS = {
  'model/**': {},
  'plan/**': { packages: [{ 'node:crypto': ['createHash'] }] },
  'registry/**': { packages: ['ipaddr.js', { 'node:net': ['isIP'] }] },
  'render/**': { packages: ['handlebars', 'ipaddr.js', 'zod'] },
  'controller/**': { packages: [] },
  'controller/metrics.ts': { packages: ['prom-client'] },
  // Lets the event loop turn between two passes.
  'controller/scheduler.ts': { allow: ['setImmediate'] },
  'zookeeper/**': { packages: ['zod'] },
  'zookeeper/credentials.ts': { packages: [{ 'node:crypto': ['createHash'] }] },
  // Makes the socket that the package works over.
  'zookeeper/client.ts': { packages: ['node-zookeeper-client', 'node:net', 'node:tls'] },
  // Lets the socket be read before it says that the server is silent.
  'zookeeper/connection.ts': { allow: ['setImmediate'] },
  'redis/**': { packages: ['zod', { 'node:crypto': ['createHash'], 'node:net': ['isIP'] }] },
  'redis/connection.ts': { packages: ['ioredis', 'node:fs/promises', 'node:net', 'node:tls'] },
  'redis/scripts.ts': { packages: ['node:fs/promises', 'node:path'] },
  'disk/**': { packages: ['node:fs', 'node:fs/promises', 'node:path'] },
  // Whether key and certificate belong together, and OpenSSL takes them.
  'disk/api_identity.ts': {
    packages: [
      { 'node:crypto': ['createPrivateKey', 'X509Certificate'] },
      { 'node:net': ['isIP'], 'node:tls': ['createSecureContext'] },
    ],
  },
  'hooks/**': { packages: [] },
  'hooks/http.ts': { packages: ['undici'] },
  'hooks/command.ts': {
    packages: ['node:child_process', 'node:fs', 'node:path'],
    process: ['kill'],
  },
  'api/**': {
    packages: [
      'express',
      'zod',
      'node:events',
      'node:http',
      { 'node:crypto': ['createHash', 'createHmac', 'timingSafeEqual'] },
    ],
  },
  'api/forward_http.ts': { packages: ['undici'] },
  'api/tls/outgoing.ts': { packages: ['undici'] },
  'api/tls/secure_server.ts': {
    packages: ['node:http', 'node:https', 'node:net', 'node:tls', { 'node:crypto': ['constants'] }],
  },
  'registrar/**': { packages: ['undici', 'node:child_process', 'node:os'] },
  'local/**': {
    packages: ['undici', 'ws', 'node:*'],
    may: ['clock', 'chance'],
    // A launcher hands its own environment on to its children and signals them; it decides nothing by either.
    process: ['env', 'kill'],
  },
  'cli/**': {
    packages: ['commander', 'ipaddr.js', 'pino', 'undici', 'yaml', 'node:*'],
    may: ['clock', 'chance', 'process', 'io'],
  },
  'config.ts': { packages: ['node:fs'] },
  'clock.ts': { may: ['clock'] },
  'main.ts': { packages: ['node:os', 'node:path', 'node:crypto'], may: ['chance', 'process'] },
};

const DEFAULT_EXPORT = { selector: 'ExportDefaultDeclaration', message: 'Export a name.' };

/** The law as entries of oxlint's configuration. They find `src/` at any depth, so that a test can lay files of its own under it. */
export function folderLaw() {
  return Object.entries(FOLDERS).map(([place, law]) => ({
    files: [`**/src/${place}`],
    excludeFiles: NO_TESTS,
    rules: rulesOf(law, place),
  }));
}

function rulesOf({ packages = [], may = [], process = [], allow = [] }, place) {
  const worlds = Object.entries(WORLD).filter(([name]) => !may.includes(name));
  const members = (kind) => worlds.flatMap(([, world]) => world[kind]);
  const free = may.includes('process') || process.length > 0;
  return {
    'no-restricted-imports': ['error', restrictedImports(packages, may, place)],
    'no-restricted-globals': [
      'error',
      ...members('globals').filter(({ name }) => !allow.includes(name) && (name !== 'process' || !free)),
    ],
    'no-restricted-properties': [
      'error',
      ...members('properties'),
      ...(process.length === 0 ? [] : [{ object: 'process', allowProperties: process, message: PROCESS }]),
    ],
    'ebbgate/no-restricted-syntax': [
      'error',
      DEFAULT_EXPORT,
      ...members('syntax'),
      ...(process.length === 0
        ? []
        : [{ selector: 'VariableDeclarator[init.name="process"]', message: PROCESS }]),
      // The rule for imports does not see these two ways.
      ...(place === 'cli/**' ? [] : ['ImportExpression', 'TSImportType']).map((node) => ({
        selector: `${node}[source.value=/^[^.]/]`,
        message: 'Import packages at the top of the file.',
      })),
    ],
  };
}

/** Everything that is neither a relative path nor an allowed package; and of some packages all but a few members. */
function restrictedImports(packages, may, place) {
  const partly = Object.assign({}, ...packages.filter((one) => typeof one === 'object'));
  const wholly = packages.filter((one) => typeof one === 'string');
  const names = [...wholly, ...Object.keys(partly)];
  const message = `${place.replace('/**', '')} may import ${names.length === 0 ? 'no package' : `only ${names.join(', ')}`}: take what it does as an argument, or name the package in scripts/folder_law.mjs and say why.`;
  return {
    paths: Object.entries(partly).map(([name, allowImportNames]) => ({ name, allowImportNames, message })),
    // As in a .gitignore the last pattern that fits decides.
    patterns: [
      {
        group: [
          ...['*', '!.', '!..', '!./**', '!../**'],
          ...names.flatMap(allowing),
          ...(may.includes('process') ? [] : ['node:process']),
        ],
        message,
      },
    ],
  };
}

/** The patterns that let a package through: of `node:fs/promises` its folder too, of `node:*` all that is below. */
function allowing(name) {
  return name.endsWith('*') ? [`!${name}`, `!${name}/**`] : [`!${name.split('/')[0]}`, `!${name}`];
}
