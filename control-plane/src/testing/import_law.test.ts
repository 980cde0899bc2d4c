import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { breaches, cycles, doorBreaches, typescriptGraph, type Sources } from './import_law.js';

const ROOT = join(import.meta.dirname, '../../..');

/** The files of `dir` by their path relative to it, or to `under`. */
function read(dir: string, extension: string, under = ''): Sources {
  if (!existsSync(dir)) return new Map();
  const names = readdirSync(dir, { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name.endsWith(extension) && !name.endsWith('.d.ts'));
  return new Map(
    files.map((name) => [under + name.replaceAll('\\', '/'), readFileSync(join(dir, name), 'utf8')] as const),
  );
}

describe('this repository', () => {
  const typescript = read(join(ROOT, 'control-plane/src'), '.ts');

  test('there is something to check', () => {
    expect(typescript.size).toBeGreaterThan(10);
  });
  test('TypeScript keeps the import law', () => {
    expect(breaches(typescript)).toEqual([]);
  });
  test('e2e and bench reach into the control plane through its one door', () => {
    const users = ['e2e/', 'bench/'].map((dir) => read(join(ROOT, dir), '.ts', dir));
    for (const sources of users) {
      expect(sources.size).toBeGreaterThan(10);
      expect(doorBreaches(sources)).toEqual([]);
    }
  });
  test('TypeScript has no import cycle, not even inside a folder', () => {
    expect(cycles(typescriptGraph(typescript))).toEqual([]);
  });
});

describe('the law sees', () => {
  const check = (path: string, source: string): readonly string[] => breaches(new Map([[path, source]]));

  test.each([
    ['model/a.ts', "import { x } from '../plan/b.js';", /nothing else/],
    ['redis/a.ts', "import type { X } from '../zookeeper/b.js';", /only model/],
    ['api/a.ts', "export { X } from '../controller/b.js';", /ControlPlane/],
    ['registrar/a.ts', "const x = await import('../zookeeper/provider.js');", /only model/],
    ['plan/a.ts', "type X = import('../redis/b.js').X;", /only model/],
    ['controller/a.ts', "import { x } from '../redis/b.js';", /only model and plan/],
    ['cli/a.ts', "import { x } from '../testing/builders.js';", /not part of what is built/],
    ['main.ts', "import { x } from './testkit.js';", /not part of what is built/],
    ['stray/a.ts', '', /no place/],
  ])('%s: %s', (path, source, reason) => {
    expect(check(path, source).join('\n')).toMatch(reason);
  });

  test.each([
    ['controller/a.ts', "import { x } from '../plan/b.js'; import { y } from '../model/c.js';"],
    ['redis/connection.ts', "import { Redis } from 'ioredis';"],
    ['testkit.ts', "export { x } from './testing/builders.js'; export { y } from './redis/keys.js';"],
  ])('nothing wrong in %s: %s', (path, source) => {
    expect(check(path, source)).toEqual([]);
  });

  test.each([
    ['e2e/a.e2e.test.ts', "import { x } from '../control-plane/src/model/set.js';"],
    ['e2e/harness/a.ts', "import type { X } from '../../control-plane/src/model/set.js';"],
    ['bench/a.bench.ts', "export { x } from '../control-plane/src/testing/log.js';"],
    ['bench/a.bench.ts', "type X = import('../control-plane/src/model/set.js').X;"],
  ])('no door: %s: %s', (path, source) => {
    expect(doorBreaches(new Map([[path, source]])).join('\n')).toMatch(/take it from .*testkit\.ts/);
  });

  test('the door, and what is not of the control plane, is open to e2e', () => {
    const source = "import { x } from '../../control-plane/src/testkit.js'; import { y } from './rig.js';";
    expect(doorBreaches(new Map([['e2e/harness/a.ts', source]]))).toEqual([]);
  });

  test('a cycle inside a folder, through a type import', () => {
    const graph = typescriptGraph(
      new Map([
        ['plan/a.ts', "import './b.js';"],
        ['plan/b.ts', "import type { C } from './c.js';"],
        ['plan/c.ts', "import './b.js';"],
      ]),
    );
    expect(cycles(graph)).toEqual(['plan/b.ts → plan/c.ts → plan/b.ts']);
  });
});
