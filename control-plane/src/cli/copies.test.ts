import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { ebbgate, served, useApi } from '../testing/cli_rig.js';

useApi();

const dir = mkdtempSync(join(tmpdir(), 'ebbgate-cli-copies-'));
afterAll(() => {
  rmSync(dir, { recursive: true });
});
const document = { format: 'ebbgate-export', v: 1, epoch: 3, records: [] };

it('export prints the document, or writes it to a new file that nobody else reads', async () => {
  expect(await ebbgate('export')).toMatchObject({ code: 7 });
  served.plane.copyText = JSON.stringify(document);
  expect(JSON.parse((await ebbgate('export')).out)).toEqual(document);
  const file = join(dir, 'export.json');
  expect(await ebbgate(`export --to ${file}`)).toMatchObject({ code: 0, out: '' });
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(document);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(await ebbgate(`export --to ${file}`)).toMatchObject({
    code: 1,
    err: expect.stringMatching(/EEXIST/) as string,
  });
});

it('export has no tokens, unless they are asked for; import --prune removes what is not in the file', async () => {
  served.plane.copyText = JSON.stringify(document);
  await ebbgate('export');
  expect(served.plane.copiedWithTokens).toBe(false);
  await ebbgate('export --with-tokens');
  expect(served.plane.copiedWithTokens).toBe(true);
  const file = join(dir, 'pruned.json');
  writeFileSync(file, JSON.stringify(document));
  expect(await ebbgate(`import ${file} --prune --reason x`)).toMatchObject({
    code: 2,
    err: expect.stringMatching(/needs --yes\n.*pruned\.json --prune --reason/) as string,
  });
  expect(served.plane.mutated.at(-1)).toMatchObject({
    mutation: { prune: true },
    context: { dry_run: true },
  });
  expect(await ebbgate(`import ${file} --reason x --yes`)).toMatchObject({ code: 0 });
  expect(served.plane.mutated.at(-1)).toMatchObject({
    mutation: { prune: false },
    context: { dry_run: false },
  });
});

it('a copy of a controller goes with the audit that is beside it', async () => {
  const file = join(dir, 'copy.previous.json');
  writeFileSync(file, JSON.stringify(document));
  writeFileSync(join(dir, 'copy.audit-0.jsonl'), '{"v":1,"n":7,"by":"ann"}\n{"v":1,"n":8,"b');
  expect(await ebbgate(`restore --from file --file ${file} --reason burnt --yes`)).toMatchObject({ code: 0 });
  expect(served.plane.mutated.at(-1)).toMatchObject({
    mutation: { document: { ...document, audit: { count: 1, records: [{ v: 1, n: 7, by: 'ann' }] } } },
  });
});

it('restore --from looks only, without --yes; with it, it applies what it has just seen', async () => {
  const line = 'restore --from redis --reason burnt';
  expect(await ebbgate(line)).toMatchObject({
    code: 2,
    err: expect.stringMatching(/needs --yes\n.*restore --from redis/) as string,
  });
  expect(served.plane.mutated.at(-1)).toMatchObject({
    mutation: { kind: 'restore_copy', from: 'redis', which: 'newest', document: null },
    context: { dry_run: true, reason: 'burnt' },
  });
  expect(await ebbgate(`${line} --previous --yes`)).toMatchObject({ code: 0 });
  expect(served.plane.mutated.at(-1)).toMatchObject({
    mutation: { which: 'previous' },
    context: { dry_run: false },
  });
  expect(await ebbgate('restore --from redis')).toMatchObject({ code: 2 });
  expect(await ebbgate(`${line} --file x`)).toMatchObject({ code: 2 });
});

it('a file goes with the request, by import and by restore --file; one that is no JSON is refused here', async () => {
  const file = join(dir, 'copy.json');
  writeFileSync(file, JSON.stringify(document));
  for (const line of [`import ${file}`, `restore --from file --file ${file}`]) {
    expect(await ebbgate(`${line} --reason burnt --yes`)).toMatchObject({ code: 0 });
    expect(served.plane.mutated.at(-1)).toMatchObject({
      mutation: { kind: 'restore_copy', from: 'document', document },
    });
  }
  writeFileSync(file, '{');
  expect(await ebbgate(`import ${file} --reason burnt`)).toMatchObject({
    code: 2,
    err: expect.stringMatching(/copy\.json/) as string,
  });
});
