import fc from 'fast-check';
import { expect, test } from 'vitest';
import { own, put } from './dictionary.js';

/** What every object answers to, and what else a person may choose. */
const NAMES = [
  'constructor',
  '__proto__',
  'toString',
  'hasOwnProperty',
  'valueOf',
  '__defineGetter__',
  'v1',
  '',
];

test('a dictionary answers only what was written into it, whatever the names', () => {
  const writes = fc.array(fc.tuple(fc.constantFrom(...NAMES), fc.integer()));
  fc.assert(
    fc.property(writes, (pairs) => {
      const record: Record<string, number> = {};
      for (const [name, value] of pairs) put(record, name, value);
      const model = new Map(pairs);
      for (const name of NAMES) expect(own(record, name)).toBe(model.get(name));
      expect(new Map(Object.entries(record))).toEqual(model);
      const read = JSON.parse(JSON.stringify(record)) as Record<string, number>;
      expect(new Map(Object.entries(read))).toEqual(model);
      expect(Object.getPrototypeOf(record)).toBe(Object.prototype);
    }),
  );
});
