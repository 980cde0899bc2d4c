import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import { findRetired } from './words.js';

const ROOT = join(import.meta.dirname, '..', '..', '..');

/** Where no retired word may be. */
const CLEAN = [
  ...['control-plane/src', 'lua', 'nginx', 'e2e', 'bench', 'scripts', 'docs'],
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md'],
];

/** Decisions and results of their day, which stay as they were written; names that a tool asks for; the table of the words itself. */
const LEFT_OUT =
  /^docs\/(?:adr|results)\/|\/words(?:\.test)?\.ts$|\.config\.mjs$|\.(?:snap|pem|png)$|node_modules|\/dist\//;

function filesBelow(place: string): readonly string[] {
  if (!statSync(join(ROOT, place)).isDirectory()) return [place];
  return readdirSync(join(ROOT, place)).flatMap((name) => filesBelow(`${place}/${name}`));
}

test.each(CLEAN)('%s has no retired word', (place) => {
  const found = filesBelow(place)
    .filter((file) => !LEFT_OUT.test(file))
    .flatMap((file) =>
      findRetired(readFileSync(join(ROOT, file), 'utf8')).map(
        ({ line, word, say }) => `${file}:${String(line)}: "${word}", say: ${say}`,
      ),
    );
  expect(found).toEqual([]);
});

describe('the table of retired words', () => {
  it.each([
    ['prose', '// The set stands in Redis.', 'stands'],
    ['camelCase', 'const wishOf = 1;', 'wish'],
    ['an acronym before a word', 'class JSONDesk {}', 'desk'],
    ['snake_case', 'local judge_all = 2', 'judge'],
    ['SNAKE_CASE', 'export const MOST_TRIALS = 3;', 'trials'],
    ['the start of a line', 'Wishes of operators', 'wishes'],
    ['two words', 'it took office again', 'took office'],
  ])('finds one in %s', (_, text, word) => {
    expect(findRetired(text)).toMatchObject([{ line: 1, word }]);
  });

  it.each([
    'It understands both.',
    'a threshold',
    'household',
    'a newsletter',
    'const intent = 1;',
    'npm audit',
  ])('finds none in "%s"', (text) => {
    expect(findRetired(text)).toEqual([]);
  });

  it('names the line', () => {
    expect(findRetired('one\ntwo\na lane')).toMatchObject([{ line: 3, say: expect.any(String) as string }]);
  });
});
