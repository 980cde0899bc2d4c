import { fileURLToPath } from 'node:url';
import { ESLint, Linter, type Rule } from 'eslint';
import ts from 'typescript';
import tseslint from 'typescript-eslint';
import { expect, test } from 'vitest';

/*
 * The rule that no plain object is a dictionary: it finds what it should, and the repository's configuration asks it.
 */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const RULE = 'ebbgate/no-object-dictionary';
const script = new URL('../../../scripts/no_object_dictionary.mjs', import.meta.url).href;
const { noObjectDictionary } = (await import(script)) as { readonly noObjectDictionary: Rule.RuleModule };

const CODE = `
export function f(a: Record<string, number>, names: readonly string[], fixed: 'x' | 'y', map: Map<string, number>) {
  for (const n of names) {
    a[n] = 1; // WRITE
    if (n in a) delete a[n]; // IN WRITE
    const read = a[n]; // READ
    const guarded = Object.hasOwn(a, n) ? a[n] : undefined;
    const list = names[0];
    const known = a[fixed];
    const parsed = JSON.parse('{}')[n]; // READ
    map.set(n, (read ?? 0) + (guarded ?? 0) + (known ?? 0) + (list?.length ?? 0) + Number(parsed));
  }
}
`;

/** A program of one file that is not on the disk. */
function programOf(name: string, source: string): ts.Program {
  const options: ts.CompilerOptions = { target: ts.ScriptTarget.ES2022, strict: true, types: [] };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (file, target) =>
    file === name ? ts.createSourceFile(file, source, target, true) : read(file, target);
  return ts.createProgram([name], options, host);
}

test('it finds reads, writes and in by names that are not in the source, and nothing else', () => {
  const name = `${ROOT}code.ts`;
  const config: Linter.Config = {
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { programs: [programOf(name, CODE)] },
    },
    plugins: { ebbgate: { rules: { 'no-object-dictionary': noObjectDictionary } } },
    rules: { [RULE]: 'error' },
  };
  const found = new Linter({ cwd: ROOT })
    .verify(CODE, config, { filename: name })
    .map(({ line, messageId, message }) => `${String(line)} ${messageId ?? message}`);
  const wanted = CODE.split('\n').flatMap((text, i) =>
    (text.split('// ')[1] ?? '').split(' ').flatMap((id) => (id === '' ? [] : [`${String(i + 1)} ${id}`])),
  );
  expect(found.sort()).toEqual(wanted.sort());
});

test.each(['plan/record.ts', 'controller/office/authority.ts', 'cli/main.ts'])(
  '%s is asked',
  async (file) => {
    const eslint = new ESLint({ cwd: ROOT });
    const config = (await eslint.calculateConfigForFile(`${ROOT}control-plane/src/${file}`)) as Linter.Config;
    expect(config.rules?.[RULE]).toEqual([2]);
  },
);
