import { open, type FileHandle } from 'node:fs/promises';
import { err, ok, type Result } from '../model/result.js';

/** The first bytes of a file as text; null = there is none. */
export async function headOf(path: string, bytes: number): Promise<Result<string | null, string>> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return ok(buffer.toString('utf8', 0, bytesRead));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ok(null);
    return err((error as Error).message);
  } finally {
    await file?.close();
  }
}

/** Has the names in a directory on the disk: of files that were made, renamed or removed. */
export async function syncDirectory(directory: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(directory, 'r');
    await handle.sync();
  } finally {
    await handle?.close();
  }
}
