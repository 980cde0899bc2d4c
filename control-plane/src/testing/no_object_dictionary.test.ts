import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

/*
 * The law that no plain object is a dictionary (scripts/no_object_dictionary.mjs), which `npm run check` asks of the product's
 * files: it finds what it should, and nothing else.
 */

interface Found {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}
const script = new URL('../../../scripts/no_object_dictionary.mjs', import.meta.url).href;
const { objectDictionaries } = (await import(script)) as {
  readonly objectDictionaries: (tsconfig: string, except?: readonly string[]) => readonly Found[];
};

const CODE = `
export function f(a: Record<string, number>, names: readonly string[], fixed: 'x' | 'y', map: Map<string, number>) {
  for (const n of names) {
    a[n] = 1; // collect in a Map
    a[n] += 1; // collect in a Map
    a[n]++; // collect in a Map
    --a[n]; // collect in a Map
    if (n in a) // ask Object.hasOwn
      delete a[n]; // collect in a Map
    const read = a[n]; // read it with own()
    const maybe = (Math.random() > 2 ? a : undefined)?.[n]; // read it with own()
    const negative = -a[n]!; // read it with own()
    const guarded = Object.hasOwn(a, n) ? a[n] : undefined;
    const both = Object.hasOwn(a, n) && a[n];
    const otherwise = Object.hasOwn(a, n) ? undefined : a[n]; // read it with own()
    const list = names[0];
    const known = a[fixed];
    const parsed = JSON.parse('{}')[n]; // read it with own()
    map.set(n, [read, maybe, negative, guarded, both, otherwise, list, known, parsed].length);
  }
}
`;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'ebbgate-dictionary-'));
  writeFileSync(
    join(dir, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { target: 'ES2022', strict: true, types: [] }, include: ['.'] }),
  );
  for (const name of ['code.ts', 'again.ts']) writeFileSync(join(dir, name), CODE);
});
afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

test('it finds reads, writes and in by names that are not in the source, and nothing else', () => {
  const wanted = CODE.split('\n').flatMap((text, i) => {
    const comment = text.split('// ')[1];
    return comment === undefined
      ? []
      : [{ line: i + 1, message: expect.stringContaining(comment) as string }];
  });
  const found = objectDictionaries(join(dir, 'tsconfig.json'), [join(dir, 'again.ts')]);
  expect(found.map(({ line, message }) => ({ line, message }))).toEqual(wanted);
  expect(new Set(found.map(({ file }) => file))).toEqual(new Set([join(dir, 'code.ts')]));
});

test('a project that is not there is a failure', () => {
  expect(() => objectDictionaries(join(dir, 'none.json'))).toThrow();
});
