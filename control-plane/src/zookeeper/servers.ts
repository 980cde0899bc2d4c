import type { ServerAddress } from './protocol.js';
import { err, ok, type Result } from '../model/result.js';

/**
 * Reads `host:port[,host:port…]`; IPv6 hosts in brackets. A path behind the servers (chroot) is refused: roots are
 * options of their own.
 */
export function parseServers(connect: string): Result<readonly ServerAddress[], string> {
  const servers: ServerAddress[] = [];
  for (const part of connect.split(',')) {
    const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(part.trim());
    const host = match?.[1] ?? match?.[2];
    const port = Number(match?.[3]);
    if (host === undefined || port < 1 || port > 65_535)
      return err(
        `zookeeper: "${part}" must be host:port, like 10.0.0.1:2181, several of them comma-separated`,
      );
    servers.push({ host, port });
  }
  return ok(servers);
}
