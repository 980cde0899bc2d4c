import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createCopyFile } from '../../disk/copy_file.js';
import type { AuditStore } from '../../model/audit_ports.js';
import type { Term } from '../../model/ports.js';
import type { CopyPlace } from '../../model/truth_copy.js';
import { encodeCopy, epochIn } from '../../plan/copy_document.js';
import { buildEntry } from '../../testing/builders.js';
import { createRecordingLog } from '../../testing/log.js';
import { MemoryTruth } from '../../testing/memory/truth.js';
import { must } from '../../testing/must.js';
import { createRecordCodec } from '../../zookeeper/record_codec.js';
import { AuditCopy } from './audit_copy.js';

const always = (): boolean => true;
const log = createRecordingLog();
let dir: string;
let place: CopyPlace;
let truth: MemoryTruth;
let audit: AuditStore;
let term: Term;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'ebbgate-audit-copy-'));
  place = createCopyFile(dir, encodeCopy, epochIn);
  await installed();
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

/** Another truth, of which nothing is known. */
async function installed(): Promise<void> {
  truth = new MemoryTruth();
  audit = truth.audit();
  term = await must(truth.office('one').take(0));
}
async function append(count: number, by = 'ann'): Promise<void> {
  for (let at = 0; at < count; at += 1) await must(audit.append(term, buildEntry({ by })));
}
function copyOf(of: Pick<AuditStore, 'newest' | 'following' | 'goOnAfter'> = audit): AuditCopy {
  return new AuditCopy({ audit: of, codec: createRecordCodec(), log });
}
async function copied(): Promise<readonly string[]> {
  const texts = await must(place.audit.read());
  return texts.map((text) => {
    const { n, by } = JSON.parse(text) as { readonly n: number; readonly by: string };
    return `${String(n)} ${by}`;
  });
}

test('each record is written once, by one leader after another', async () => {
  await append(3);
  const copy = copyOf();
  for (let round = 0; round < 3; round += 1) await must(copy.follow(place, term, always));
  await append(1, 'bob');
  await must(copy.follow(place, term, always));
  await append(1, 'eve');
  term = await must(truth.office('two').take(0));
  await must(copyOf().follow(place, term, always));
  expect(await copied()).toEqual(['1 ann', '2 ann', '3 ann', '4 bob', '5 eve']);
});

test('nothing is written where it may not go on, and where the place is of a higher epoch', async () => {
  await append(3);
  await must(copyOf().follow(place, term, () => false));
  expect(await copied()).toEqual([]);
  await must(place.replace({ epoch: 99, at: '2026-05-01T12:00:00.000Z', tokens: true, records: [] }, false));
  expect(await copyOf().follow(place, term, always)).toMatchObject({ ok: false });
  expect(await copied()).toEqual([]);
});

test('what ZooKeeper has lost stays in the copy, and no number of it is given again', async () => {
  await append(3);
  await must(copyOf().follow(place, term, always));
  await installed();
  await must(copyOf().follow(place, term, always));
  await append(1, 'eve');
  await must(copyOf().follow(place, term, always));
  expect(await copied()).toEqual(['1 ann', '2 ann', '3 ann', '4 eve']);
  // Put back to an older state, of which nobody knows.
  await installed();
  await append(2);
  await must(copyOf().follow(place, term, always));
  await append(1, 'bob');
  await must(copyOf().follow(place, term, always));
  expect(await copied()).toEqual(['1 ann', '2 ann', '3 ann', '4 eve', '5 bob']);
});

test.each([2, 3, 5])('the audit of another installation is replaced, by %d records', async (count) => {
  await append(3);
  await must(copyOf().follow(place, term, always));
  await installed();
  await append(count, 'bob');
  await must(copyOf().follow(place, term, always));
  expect(await copied()).toEqual(Array.from({ length: count }, (_, at) => `${String(at + 1)} bob`));
  expect(log.lines.map(({ message }) => message).join()).toMatch(/of another one; it begins anew/);
});

test('a place that was emptied under the leader is filled again', async () => {
  await append(3);
  const copy = copyOf();
  await must(copy.follow(place, term, always));
  await must(place.audit.clear(term.epoch));
  await append(1);
  expect(await copy.follow(place, term, always)).toMatchObject({ ok: false });
  await must(copy.follow(place, term, always));
  expect(await copied()).toHaveLength(4);
});
