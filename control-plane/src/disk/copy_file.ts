import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '../model/result.js';
import type { CopyPlace, KeptCopy } from '../model/truth_copy.js';
import { createCopiedAuditFiles } from './copied_audit_files.js';
import { headOf, syncDirectory } from './files.js';

/** The epoch is among the first members. */
const HEAD_BYTES = 256;
const FILES = { newest: 'copy.json', previous: 'copy.previous.json' } as const;

/**
 * The copy in a directory, which is made when it is missing. What is written is on the disk before it takes the place of the newest: a crash leaves
 * the one or the other whole. Only the user of the process can read it.
 */
export function createCopyFile(
  directory: string,
  encode: (copy: KeptCopy) => string,
  epochOf: (text: string) => number | null,
): CopyPlace {
  const pathOf = (which: keyof typeof FILES): string => join(directory, FILES[which]);
  const read = async (which: keyof typeof FILES): Promise<Result<string | null, string>> => {
    try {
      return ok(await readFile(pathOf(which), 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ok(null);
      return err((error as Error).message);
    }
  };
  /** Null = there is none, or none with an epoch; the rest of the file is not read. */
  const epochOfNewest = async (): Promise<Result<number | null, string>> => {
    const head = await headOf(pathOf('newest'), HEAD_BYTES);
    return head.ok ? ok(head.value === null ? null : epochOf(head.value)) : head;
  };
  const fence = async (epoch: number): Promise<Result<number | null, string>> => {
    const present = await epochOfNewest();
    if (!present.ok || present.value === null || present.value <= epoch) return present;
    return err(`${pathOf('newest')} is of epoch ${String(present.value)}, which is newer`);
  };
  const replace = async (copy: KeptCopy, keep: boolean): Promise<Result<null, string>> => {
    const epoch = await fence(copy.epoch);
    if (!epoch.ok) return epoch;
    const next = join(directory, 'copy.next.json');
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await writeWhole(next, encode(copy));
      // One that cannot be read is no copy to go back to.
      if (keep && epoch.value !== null) {
        const kept = join(directory, 'copy.kept.json');
        await writeWhole(kept, await readFile(pathOf('newest'), 'utf8'));
        await rename(kept, pathOf('previous'));
      }
      await rename(next, pathOf('newest'));
      await syncDirectory(directory);
      return ok(null);
    } catch (error) {
      return err((error as Error).message);
    }
  };
  const close = (): Promise<void> => Promise.resolve();
  return {
    ...{ place: 'file', spelled: pathOf('newest'), epoch: epochOfNewest, read, replace },
    audit: createCopiedAuditFiles(directory, fence),
    ...{ start: () => Promise.resolve(), close, [Symbol.asyncDispose]: close },
  };
}

async function writeWhole(path: string, text: string): Promise<void> {
  const { O_CREAT, O_WRONLY, O_EXCL } = constants;
  // What a crash has left has whatever rights it has.
  await rm(path, { force: true });
  await using file = await open(path, O_CREAT | O_WRONLY | O_EXCL, 0o600);
  await file.writeFile(text, 'utf8');
  await file.sync();
}
