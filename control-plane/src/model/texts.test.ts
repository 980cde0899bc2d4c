import { describe, expect, it } from 'vitest';
import { findUnfit, spelled, unfitCharacter } from './texts.js';

describe('texts that people see', () => {
  it.each([
    ['an override', 'a\u202eb', 'U+202E'],
    ['an embedding', 'a\u202ab', 'U+202A'],
    ['an isolate', 'a\u2067b', 'U+2067'],
    ['the end of an isolate', 'a\u2069b', 'U+2069'],
    ['a line separator', 'a\u2028b', 'U+2028'],
    ['a paragraph separator', 'a\u2029b', 'U+2029'],
    ['NEL', 'a\u0085b', 'U+0085'],
    ['an escape', 'a\u001bb', 'U+001B'],
    ['a line end', 'a\nb', 'U+000A'],
    ['DEL', 'a\u007fb', 'U+007F'],
    ['a lone high surrogate', 'a\ud83db', 'U+D83D'],
    ['a lone low surrogate', 'a\ude00b', 'U+DE00'],
    ['a noncharacter', 'a\uffffb', 'U+FFFF'],
    ['a replacement character', 'a\ufffdb', 'U+FFFD'],
  ])('contain no %s', (_name, text, character) => {
    expect(unfitCharacter(text)).toBe(character);
  });

  it.each(['new kernel', 'Wärme', 'גרסה חדשה', 'نسخة', '日本語', '👩‍👩‍👧 done', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', ''])(
    'may be %s',
    (text) => {
      expect(unfitCharacter(text)).toBeNull();
    },
  );

  it('may have several lines where they are taken', () => {
    expect(unfitCharacter('a\n\tb\r\n', 'several')).toBeNull();
    expect(unfitCharacter('a\n\u2028b', 'several')).toBe('U+2028');
  });

  it('are found at any depth, in names of members too', () => {
    expect(findUnfit({ a: [{ b: 'x' }, { b: 'x\u202ey' }] })).toEqual({
      path: ['a', '1', 'b'],
      character: 'U+202E',
    });
    expect(findUnfit({ a: { 'b\u2028': 1 } })).toEqual({ path: ['a', 'b<U+2028>'], character: 'U+2028' });
    expect(findUnfit({ a: ['x', 1, null, true, 'y\nz'] })).toBeNull();
  });

  it('are spelled in messages', () => {
    expect(spelled('a\u202eb\nc')).toBe('a<U+202E>b<U+000A>c');
  });
});
