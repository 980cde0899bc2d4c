import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '../model/result.js';
import type { CopyPlace, KeptCopy } from '../model/truth_copy.js';

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
  const epochOfNewest = async (): Promise<Result<number | null, string>> => {
    const newest = await read('newest');
    return newest.ok ? ok(newest.value === null ? null : epochOf(newest.value)) : newest;
  };
  const replace = async (copy: KeptCopy, keep: boolean): Promise<Result<null, string>> => {
    const present = await read('newest');
    if (!present.ok) return present;
    const epoch = present.value === null ? null : epochOf(present.value);
    if (epoch !== null && epoch > copy.epoch)
      return err(`${pathOf('newest')} is of epoch ${String(epoch)}, which is newer`);
    const next = join(directory, 'copy.next.json');
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await writeWhole(next, encode(copy));
      // One that cannot be read is no copy to go back to.
      if (keep && present.value !== null && epoch !== null) {
        const kept = join(directory, 'copy.kept.json');
        await writeWhole(kept, present.value);
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

async function syncDirectory(directory: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(directory, 'r');
    await handle.sync();
  } finally {
    await handle?.close();
  }
}
