import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compilePattern, LONGEST_TEXT, patternFault } from './pattern.js';

test.each([
  '/users/\\d+/orders',
  '[^/]+',
  '.*\\.(?:jpg|png|gif)',
  '/v(1|2)/[a-z0-9-]{1,32}(/)?',
  '/a{3}b{2,}c{0,5}',
  '[\\]\\[-]+x',
  '/\\w+-\\d*',
  '.*',
])('%s may be a pattern', (pattern) => {
  expect(patternFault(pattern)).toBeNull();
});

test.each([
  ['', /1 to 256/],
  ['a'.repeat(257), /1 to 256/],
  ['é', /ASCII/],
  ['^/a', /must not have \^/],
  ['/a$', /must not have \$/],
  ['(a+)+', /repeat a group/],
  ['(a|b)*', /repeat a group/],
  ['(?:a?){3}', /repeat a group/],
  ['.*a.*b', /at most one repetition/],
  ['a*a*a*b', /at most one repetition/],
  ['a*a*b(c|d)(c|d)(c|d)(c|d)', /8 ways/],
  ['\\d+\\w+x', /at most one repetition/],
  ['(a?){1}', /repeat a group/],
  ['a?a?a?a?a?a?', /32 ways/],
  ['(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)', /32 ways/],
  ['a**', /behind another/],
  ['a+?', /behind another/],
  ['a{1}{2}', /behind another/],
  ['*a', /before \*/],
  ['(*UTF8)a', /before \*/],
  ['a{x}', /numbers in \{ \}/],
  ['a{2,1}', /in order/],
  ['a{0}', /numbers/],
  ['a{65}', /numbers/],
  ['\\1', /must not have \\1/],
  ['\\bx', /must not have \\b/],
  ['\\sx', /must not have \\s/],
  ['\\', /must not have \\/],
  ['(?=a)b', /look ahead/],
  ['(?<n>a)', /look ahead/],
  ['(?i)a', /look ahead/],
  ['[', /a \] for each/],
  ['[]', /something in each/],
  ['[^]', /something in each/],
  ['[[:alpha:]]', /\\\[ for/],
  ['[z-a]', /ranges/],
  ['[a-\\d]', /ranges/],
  ['(a', /a \) for each/],
  ['a)', /a \( for each/],
  ['a||b', /something on each side/],
  ['()', /something on each side/],
  ['a}', /before \}/],
  ['a]', /before \]/],
])('%s may not: %s', (pattern, why) => {
  expect(patternFault(pattern) ?? 'null').toMatch(why);
});

test('matches whole texts only, and none that is too long', () => {
  const matches = compilePattern('a|b+');
  expect(['a', 'bb', 'ab', 'a\n', '', 'xa'].map(matches)).toEqual([true, true, false, false, false, false]);
  expect(compilePattern('.*')('a'.repeat(LONGEST_TEXT))).toBe(true);
  expect(compilePattern('.*')('a'.repeat(LONGEST_TEXT + 1))).toBe(false);
  expect(compilePattern('a.b')('a\nb')).toBe(true);
});

/** Pieces of which patterns are drawn, those that are dangerous among them. */
const piece = fc.constantFrom(
  ...[
    'a',
    'b',
    '.',
    '[ab]',
    '\\w',
    'a*',
    'a+',
    '.*',
    '[ab]+',
    '\\w*',
    'a?',
    'b?',
    'a{1,64}',
    '(a|ab)',
    '(a|b)',
    '(ab)?',
  ],
);

test('what may be a pattern takes a bounded time, whatever the text', () => {
  let taken = 0;
  fc.assert(
    fc.property(
      fc.array(piece, { minLength: 1, maxLength: 8 }),
      fc.constantFrom('x', 'c', ''),
      (pieces, end) => {
        const pattern = pieces.join('') + end;
        if (patternFault(pattern) !== null) return;
        taken += 1;
        const matches = compilePattern(pattern);
        for (const text of ['a'.repeat(LONGEST_TEXT), 'ab'.repeat(LONGEST_TEXT / 2)]) {
          const began = performance.now();
          matches(text);
          // An exponential one would not end in a day, and one with three free repetitions takes seconds.
          expect(performance.now() - began).toBeLessThan(500);
        }
      },
    ),
    { numRuns: 800 },
  );
  expect(taken).toBeGreaterThan(200);
});
