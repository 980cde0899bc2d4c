import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import { expect, test } from 'vitest';

/*
 * The rule that no plain object is a dictionary, on the repository's own configuration: it finds what it should.
 */

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** Linted as if it were there. */
const PLACE = `${ROOT}control-plane/src/plan/record.ts`;
const RULE = 'ebbgate/no-object-dictionary';

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

test('it finds reads, writes and in by names that are not in the source, and nothing else', async () => {
  const [result] = await new ESLint({ cwd: ROOT }).lintText(CODE, { filePath: PLACE });
  const found = (result?.messages ?? [])
    .filter(({ ruleId }) => ruleId === RULE)
    .map(({ line, messageId }) => `${String(line)} ${String(messageId)}`);
  const wanted = CODE.split('\n').flatMap((text, i) =>
    (text.split('// ')[1] ?? '').split(' ').flatMap((id) => (id === '' ? [] : [`${String(i + 1)} ${id}`])),
  );
  expect(found.sort()).toEqual(wanted.sort());
}, 120_000);
