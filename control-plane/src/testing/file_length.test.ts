import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/*
 * A file of the product has at most 300 lines, so that it can be read in one go. A longer one says why, in itself.
 */

const ROOT = join(import.meta.dirname, '../../..');
const MOST_LINES = 300;

/** How a longer file begins the sentence. */
const REASON = /^\/\/ Longer than other files: \S/m;

const names = ['control-plane/src', 'lua', 'scripts'].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => `${folder}/${name}`),
);
const sources = new Map(
  names
    .filter((file) => /\.(?:ts|mjs|lua)$/.test(file))
    .filter((file) => !/\.(?:test|contract)\.ts$|\/testing\/|^lua\/spec\//.test(file))
    .map((file) => [file, readFileSync(join(ROOT, file), 'utf8')] as const),
);
const isLong = (source: string): boolean => source.split('\n').length - 1 > MOST_LINES;

test('there is something to count', () => {
  expect(sources.size).toBeGreaterThan(300);
});

test('no file is longer, but for those that say why', () => {
  const silent = [...sources].filter(([, source]) => isLong(source) && !REASON.test(source));
  expect(silent.map(([file]) => file)).toEqual([]);
});

test('a file that is short enough has no excuse', () => {
  const excused = [...sources].filter(([, source]) => !isLong(source) && REASON.test(source));
  expect(excused.map(([file]) => file)).toEqual([]);
});
