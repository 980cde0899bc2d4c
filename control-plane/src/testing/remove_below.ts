import type { Result } from '../model/result.js';

/** Removes the node at `path` and everything below it, as far as it is there. */
export async function removeBelow(
  connection: {
    getChildren(path: string): Promise<Result<{ readonly names: readonly string[] }, unknown>>;
    remove(path: string, version: number): Promise<unknown>;
  },
  path: string,
): Promise<void> {
  const read = await connection.getChildren(path);
  if (read.ok) for (const name of read.value.names) await removeBelow(connection, `${path}/${name}`);
  await connection.remove(path, -1);
}
