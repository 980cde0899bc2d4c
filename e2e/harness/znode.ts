import { connect, type ZooKeeperConnection, systemClock } from '../../control-plane/src/testkit.js';

/*
 * What a person with zkCli does.
 */

/** A session of its own. */
export async function openSession(port: number): Promise<ZooKeeperConnection> {
  const made = await connect({
    server: { host: '127.0.0.1', port },
    sessionTimeoutMs: 10_000,
    connectTimeoutMs: 10_000,
    clock: systemClock,
  });
  if (!made.ok) throw new Error(made.error);
  return made.value;
}

/** What is at `path`. */
export async function readZnode(port: number, path: string): Promise<string> {
  const connection = await openSession(port);
  const read = await connection.getData(path);
  await connection.close();
  if (!read.ok) throw new Error(`${path}: ${read.error.message}`);
  return read.value.data.toString('utf8');
}

/** Replaces what is at `path`, whatever it is. */
export async function writeZnode(port: number, path: string, text: string): Promise<void> {
  const connection = await openSession(port);
  const written = await connection.transaction([{ kind: 'set', path, data: Buffer.from(text), version: -1 }]);
  await connection.close();
  if (!written.ok) throw new Error(`${path}: ${written.error.message}`);
}
