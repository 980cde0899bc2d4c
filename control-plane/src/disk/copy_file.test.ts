import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeCopy, epochIn, parseCopyText } from '../plan/copy_document.js';
import { describeCopyPlace } from '../testing/copy_place.contract.js';
import { must } from '../testing/must.js';
import { createCopyFile } from './copy_file.js';

const COPY = {
  epoch: 5,
  tokens: true,
  at: '2026-05-01T12:00:00.000Z',
  records: [{ record: 'intents/a', value: '{"rev":1}' }],
};

function directory(): string {
  return mkdtempSync(join(tmpdir(), 'ebbgate-copy-'));
}

describeCopyPlace('a directory', () => {
  const dir = directory();
  return Promise.resolve({
    open: () => createCopyFile(join(dir, 'state'), encodeCopy, epochIn),
    close: () => {
      rmSync(dir, { recursive: true });
      return Promise.resolve();
    },
  });
});

test('a controller that was killed while it wrote leaves the copy whole, and the next one goes on', async () => {
  const dir = directory();
  const place = createCopyFile(dir, encodeCopy, epochIn);
  await must(place.replace(COPY, false));
  // As kill -9 leaves it, between the first bytes and the rename.
  for (const cut of ['', '{"format":"ebbgate-export","v":1,"epo', encodeCopy(COPY)]) {
    writeFileSync(join(dir, 'copy.next.json'), cut);
    expect(parseCopyText((await must(place.read('newest'))) ?? '')).toMatchObject({ ok: true });
  }
  await must(place.replace({ ...COPY, epoch: 6 }, true));
  expect(readdirSync(dir).sort()).toEqual(['copy.json', 'copy.previous.json']);
  for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  rmSync(dir, { recursive: true });
});

test('a controller that was killed while it added to the audit leaves whole records, and the next one goes on behind them', async () => {
  const dir = directory();
  const record = (n: number) => ({ n, text: JSON.stringify({ v: 1, n, by: 'ann'.repeat(n) }) });
  const place = () => createCopyFile(dir, encodeCopy, epochIn);
  await must(place().audit.append(5, 0, [record(1), record(2)]));
  const file = join(dir, 'copy.audit-0.jsonl');
  const whole = readFileSync(file, 'utf8');
  const line = `${record(3).text}\n`;
  for (let end = 0; end < line.length; end += 1) {
    writeFileSync(file, whole + line.slice(0, end));
    expect(await must(place().audit.read())).toEqual([record(1).text, record(2).text]);
    expect(await must(place().audit.append(5, 2, [record(3), record(4)]))).toBe('done');
    expect(readFileSync(file, 'utf8')).toBe(`${whole}${line}${record(4).text}\n`);
  }
  expect(statSync(file).mode & 0o777).toBe(0o600);
  rmSync(dir, { recursive: true });
});

test('where nothing can be written the copy that is there stays, and it says why', async () => {
  const dir = directory();
  const place = createCopyFile(dir, encodeCopy, epochIn);
  await must(place.replace(COPY, false));
  mkdirSync(join(dir, 'copy.next.json'));
  const refused = await place.replace({ ...COPY, epoch: 6 }, true);
  expect(refused).toMatchObject({
    ok: false,
    error: expect.stringMatching(/copy\.next\.json/) as string,
  });
  expect(epochIn((await must(place.read('newest'))) ?? '')).toBe(5);
  rmSync(dir, { recursive: true });
});

test('what is damaged is no copy to go back to: it is replaced, and not kept', async () => {
  const dir = directory();
  const place = createCopyFile(dir, encodeCopy, epochIn);
  writeFileSync(join(dir, 'copy.json'), 'cut off');
  await must(place.replace(COPY, true));
  expect(readdirSync(dir)).toEqual(['copy.json']);
  rmSync(dir, { recursive: true });
});
