import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MOST_COPIED } from '../model/audit.js';
import { err, ok, type Result } from '../model/result.js';
import type { CopiedAudit, CopiedRecord } from '../model/truth_copy.js';
import { syncDirectory } from './files.js';

/** Numbers in one file. The oldest file goes as a whole, so up to so many more than `MOST_COPIED` are kept. */
const PAGE = 1_000;
const NAME = /^copy\.audit-(\d{1,10})\.jsonl$/;

/**
 * The records of the audit beside `copy.json`, a line each, `copy.audit-12.jsonl` from number 12,000 on. Only added to, so a crash
 * leaves a line without its end at most: it is no record, and the next writer cuts it off. `fence` refuses an epoch that is below
 * that of the newest copy.
 */
export function createCopiedAuditFiles(
  directory: string,
  fence: (epoch: number) => Promise<Result<unknown, string>>,
): CopiedAudit {
  const newest = async (): Promise<CopiedRecord | null> => {
    for (const page of (await pagesIn(directory)).toReversed()) {
      const text = (await linesOf(directory, page)).at(-1);
      if (text !== undefined) return { n: numberOf(text), text };
    }
    return null;
  };
  const append = async (after: number, records: readonly CopiedRecord[]): Promise<'done' | 'conflict'> => {
    if (((await newest())?.n ?? 0) !== after) return 'conflict';
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const [page, lines] of byPage(records)) await appendLines(join(directory, nameOf(page)), lines);
    const last = records.at(-1)?.n ?? after;
    for (const page of await pagesIn(directory))
      if ((page + 1) * PAGE <= last - MOST_COPIED + 1) await rm(join(directory, nameOf(page)));
    await syncDirectory(directory);
    return 'done';
  };
  return {
    newest: () => attempt(newest),
    read: () => attempt(() => readCopiedAudit(directory)),
    append: async (epoch, after, records) => {
      const allowed = await fence(epoch);
      return allowed.ok ? attempt(() => append(after, records)) : allowed;
    },
    clear: async (epoch) => {
      const allowed = await fence(epoch);
      if (!allowed.ok) return allowed;
      return attempt(async () => {
        for (const page of await pagesIn(directory)) await rm(join(directory, nameOf(page)));
        return null;
      });
    },
  };
}

/** The records that are kept in a directory, oldest first. Rejects where it cannot be read. */
export async function readCopiedAudit(directory: string): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const page of await pagesIn(directory)) lines.push(...(await linesOf(directory, page)));
  return lines;
}

async function pagesIn(directory: string): Promise<readonly number[]> {
  let names: readonly string[] = [];
  try {
    names = await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const pages = names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number);
  return pages.sort((a, b) => a - b);
}

function nameOf(page: number): string {
  return `copy.audit-${String(page)}.jsonl`;
}

/** The whole lines of a page. */
async function linesOf(directory: string, page: number): Promise<readonly string[]> {
  const text = await readFile(join(directory, nameOf(page)), 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => numberOf(line) > 0);
}

/** 0 where it is no record. */
function numberOf(line: string): number {
  const [, n] = /^\{"v":1,"n":(\d{1,10}),/.exec(line) ?? [];
  return n === undefined ? 0 : Number(n);
}

function byPage(records: readonly CopiedRecord[]): ReadonlyMap<number, readonly string[]> {
  const pages = new Map<number, string[]>();
  for (const { n, text } of records) {
    const page = Math.floor(n / PAGE);
    const lines = pages.get(page);
    if (lines === undefined) pages.set(page, [text]);
    else lines.push(text);
  }
  return pages;
}

/** On the disk when it resolves. What a crash has left of a line is cut off first. */
async function appendLines(path: string, lines: readonly string[]): Promise<void> {
  await using file = await open(path, 'a+', 0o600);
  const { size } = await file.stat();
  const end = Buffer.alloc(1);
  if (size > 0) await file.read(end, 0, 1, size - 1);
  if (size > 0 && end.toString() !== '\n') {
    const whole = (await file.readFile()).lastIndexOf(0x0a) + 1;
    await file.truncate(whole);
  }
  await file.writeFile(lines.map((line) => `${line}\n`).join(''), 'utf8');
  await file.sync();
}

async function attempt<T>(of: () => Promise<T>): Promise<Result<T, string>> {
  try {
    return ok(await of());
  } catch (error) {
    return err((error as Error).message);
  }
}
