import type { FormRule } from './shape.js';

/** A method of HTTP. */
export const METHOD: FormRule = {
  kind: 'form',
  fits: (text) => /^[A-Z][A-Z-]{0,31}$/.test(text),
  hint: 'a method in upper case, like GET',
  good: ['A', 'GET', 'M-SEARCH'],
  bad: ['', 'get', 'G T', '-A', 'É', 'A\n'],
};
