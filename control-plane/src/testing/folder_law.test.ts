import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/*
 * What each folder may take from outside (scripts/folder_law.mjs), which `npm run check` asks of every file: here each law
 * is shown to fail, and to let through what it should.
 */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const OXLINT = join(ROOT, 'node_modules/.bin/oxlint');
const LAW = join(ROOT, 'scripts/folder_law.config.mjs');

/** What the tests below ask: file of control-plane/src and source. All are linted at once, each below a folder of its own. */
const probes: (readonly [path: string, source: string])[] = [];
let dir: string;
let found: ReadonlyMap<string, readonly string[]>;

interface Report {
  readonly diagnostics: readonly {
    readonly code: string;
    readonly message: string;
    readonly help?: string;
    readonly filename: string;
  }[];
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ebbgate-law-'));
  const config = join(dir, 'law.mjs');
  writeFileSync(config, `export { default } from ${JSON.stringify(LAW)};`);
  probes.forEach(([path, source], i) => {
    const file = join(dir, `${String(i)}/src/${path}`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, source);
  });
  const args = ['-c', config, '--format', 'json', dir];
  const { stdout } = await promisify(execFile)(OXLINT, args, { cwd: dir, maxBuffer: 1 << 24 }).catch(
    (error: unknown) => error as { readonly stdout: string },
  );
  const { diagnostics } = JSON.parse(stdout) as Report;
  const sentence = ({ code, message, help = '' }: Report['diagnostics'][number]): string =>
    `${code} ${message} ${help}`;
  found = new Map(
    probes.map((_, i) => [
      String(i),
      diagnostics.filter(({ filename }) => filename.startsWith(`${String(i)}/`)).map(sentence),
    ]),
  );
}, 60_000);
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

/** Asks what the law says of `source`, if it were that file of control-plane/src; the test gets the answer. */
function probe(path: string, source: string): () => readonly string[] {
  const key = String(probes.push([path, source]) - 1);
  return () => found.get(key)!;
}

/** The folders that get everything of the world around them handed in. */
const HANDED_IN = [
  'model',
  'plan',
  'registry',
  'render',
  'controller',
  'api',
  'zookeeper',
  'redis',
  'hooks',
  'registrar',
];

/** What nobody takes but through an argument: its name, and source that takes it. */
const TAKEN = [
  ['the time', 'export const now = Date.now();'],
  ['the time, by name', "export const now = Date['now']();"],
  ['the time, taken apart', 'const { now } = Date; export const at = now();'],
  ['the time, under another name', 'const D = Date; export const at = D.now();'],
  ['a date of now', 'export const now = new Date();'],
  ['a text of now', 'export const now = Date();'],
  ['a performance counter', 'export const now = performance.now();'],
  ['a timer', 'setTimeout(() => undefined, 5);'],
  ['a repeated timer', 'export const timer = setInterval(() => undefined, 5);'],
  ['a turn of the loop', 'setImmediate(() => undefined);'],
  ['a timer as a promise', "import { setTimeout } from 'node:timers/promises'; await setTimeout(5);"],
  ['a timer, without node:', "import { setTimeout } from 'timers/promises'; await setTimeout(5);"],
  ['a signal that aborts late', 'export const late = AbortSignal.timeout(5);'],
  ['chance', 'export const roll = Math.random();'],
  ['chance, under another name', 'const M = Math; export const roll = M.random();'],
  ['chance of the other kind', 'export const id = crypto.randomUUID();'],
  ['chance by a package', "import { randomUUID } from 'node:crypto'; export const id = randomUUID();"],
  [
    'everything by a package',
    "import * as crypto from 'node:crypto'; export const id = crypto.randomUUID();",
  ],
  ['the environment', 'export const home = process.env.HOME;'],
  ['the process', 'process.exit(1);'],
  ['the process, under another name', 'const p = process; p.exit(1);'],
  ['the process by a package', "import { env } from 'node:process'; export const home = env.HOME;"],
  ['the process by everything', 'export const home = globalThis.process.env.HOME;'],
  ['a call', "await fetch('http://127.0.0.1/');"],
  ['the console', "console.log('x');"],
  ['files', "import { readFileSync } from 'node:fs'; readFileSync('/etc/hosts');"],
  ['a package nobody has', "import x from 'left-pad'; x();"],
  ['a package, for its types', "import type { X } from 'left-pad'; export type Y = X;"],
  ['a package, handed on', "export { x } from 'left-pad';"],
  ['a package, later', "export const x = await import('left-pad');"],
  ['a package, inside a type', "export type X = import('left-pad').X;"],
  ['a default export', 'export default 1;'],
] as const;

describe.each(['model/a.ts', 'plan/a/b.ts', 'controller/a.ts'])('%s', (path) => {
  for (const [what, source] of TAKEN) {
    const answer = probe(path, source);
    test(`may not take ${what}`, () => {
      expect(answer()).not.toEqual([]);
      expect(answer().filter((message) => !message.includes('(no-restricted-'))).toEqual([]);
    });
  }

  const handedIn = probe(
    path,
    `
      import { ok } from '../model/result.js';
      import type { X } from './x.js';
      // Date.now() in a comment, and 'Math.random()' in a text, are no clock and no chance.
      export const text = 'process.env';
      export const date = (at: number, x: X) => new Date(at).toISOString() + String(Math.max(1, Date.parse(text)) + ok(x));
      export async function later() { return import('./x.js'); }`,
  );
  test('takes what is handed in', () => {
    expect(handedIn()).toEqual([]);
  });
});

for (const folder of HANDED_IN) {
  const source = 'Date.now(); setTimeout(f, 5); Math.random(); process.exit(1); fetch(x);';
  const answer = probe(`${folder}/a/b.ts`, source);
  test(`${folder}/ takes no time, no chance, no process and no call`, () => {
    expect(answer()).toHaveLength(5);
  });
}

const REFUSED = [
  ['model/a.ts', "import { createHash } from 'node:crypto';", /may import no package/],
  ['model/a.ts', "import { z } from 'zod';", /may import no package/],
  ['plan/a.ts', "import { z } from 'zod';", /plan may import only node:crypto/],
  ['controller/a.ts', "import express from 'express';", /controller may import no package/],
  ['controller/a.ts', "import { Counter } from 'prom-client';", /controller may import no package/],
  ['zookeeper/tree.ts', "import zk from 'node-zookeeper-client';", /zookeeper may import only zod/],
  ['zookeeper/client.ts', "import { Redis } from 'ioredis';", /zookeeper\/client\.ts may import only/],
  ['redis/keys.ts', "import { Redis } from 'ioredis';", /redis may import only/],
  ['redis/keys.ts', "import { connect } from 'node:net';", /redis may import only/],
  ['api/a.ts', "import { Pool } from 'undici';", /api may import only/],
  ['api/a.ts', "import x from 'zod-extra';", /api may import only/],
  ['api/a.ts', "import x from 'node:httpx';", /api may import only/],
  ['local/a.ts', 'process.exit(1);', /only main\.ts and cli/],
  ['local/a.ts', 'const p = process; p.exit(1);', /only main\.ts and cli/],
  ['local/a.ts', "import { env } from 'node:process';", /local may import only/],
  ['hooks/command.ts', 'export const x = process.env;', /only main\.ts and cli/],
  ['config.ts', 'export const x = process.env;', /only main\.ts and cli/],
  ['clock.ts', 'export const x = Math.random();', /only main\.ts and cli/],
  ['main.ts', 'setTimeout(() => undefined, 5);', /only clock\.ts/],
  ['cli/a.ts', "import { Redis } from 'ioredis';", /cli may import only/],
] as const;
for (const [path, source, reason] of REFUSED) {
  const answer = probe(path, source);
  test(`${path}: ${source}`, () => {
    expect(answer().join('\n')).toMatch(reason);
  });
}

const ALLOWED = [
  ['plan/a.ts', "import { createHash } from 'node:crypto';"],
  ['redis/connection.ts', "import { Redis } from 'ioredis';"],
  ['zookeeper/client.ts', "import zk from 'node-zookeeper-client';"],
  ['controller/metrics.ts', "import { Counter } from 'prom-client';"],
  ['api/a.ts', "import express from 'express'; import { z } from 'zod';"],
  [
    'local/a.ts',
    'export const env = { ...process.env }; process.kill(1, 0); export const at = performance.now();',
  ],
  ['hooks/command.ts', 'process.kill(1, 0);'],
  ['clock.ts', 'export const at = Date.now(); setTimeout(() => undefined, 5);'],
  ['main.ts', 'export const home = process.env.HOME; export const roll = Math.random;'],
  [
    'cli/a.ts',
    "import { Command } from 'commander'; process.exit(1); const { x } = await import('node:os');",
  ],
  ['model/a.test.ts', "import fc from 'fast-check'; export const at = Date.now();"],
  ['testing/a.ts', "import { spawn } from 'node:child_process'; setTimeout(() => undefined, 5);"],
] as const;
for (const [path, source] of ALLOWED) {
  const answer = probe(path, source);
  test(`nothing wrong in ${path}: ${source}`, () => {
    expect(answer()).toEqual([]);
  });
}
