import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/*
 * A file of the product has at most 300 lines, so that it can be read in one go. Longer ones say here why they are one.
 */

const ROOT = join(import.meta.dirname, '../../..');
const MOST_LINES = 300;

const LONGER: Readonly<Record<string, string>> = {
  'control-plane/src/zookeeper/connection.ts':
    'one session from its first packet to its last: what may follow on what can only be seen in one place',
  'control-plane/src/zookeeper/tree.ts':
    'one mirror of a tree: its reads, watches and their order are one argument for why nothing is missed',
  'control-plane/src/render/options.ts':
    'a table: each option of a gateway with its limits and its documentation',
  'control-plane/src/local/up.ts': 'the order in which a local platform starts, is watched, and stops',
};

const names = ['control-plane/src', 'lua', 'scripts'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
);
const lengths = new Map(
  names
    .filter((file) => /\.(?:ts|mjs|lua)$/.test(file))
    .filter((file) => !/\.(?:test|contract)\.ts$|\/testing\/|^lua\/spec\//.test(file))
    .map((file) => [file, readFileSync(join(ROOT, file), 'utf8').split('\n').length - 1] as const),
);

test('there is something to count', () => {
  expect(lengths.size).toBeGreaterThan(300);
});

test('no file is longer, but for those that say why', () => {
  const longer = [...lengths].filter(([file, lines]) => lines > MOST_LINES && !Object.hasOwn(LONGER, file));
  expect(longer).toEqual([]);
});

test('a file that is short enough has no excuse', () => {
  expect(Object.keys(LONGER).filter((file) => (lengths.get(file) ?? 0) <= MOST_LINES)).toEqual([]);
});
