import { Agent, type Dispatcher } from 'undici';
import type { ClientIdentity } from '../../model/api_tls.js';
import { ok, type Result } from '../../model/result.js';

/** How to connect to the control API, as the files say now; the error names a file and what to do. */
export type Connections = () => Result<Dispatcher, string>;

/**
 * Connections to control APIs, plain or by TLS: the server's certificate is verified, with its name. Files that changed count for connections that are
 * made from then on, so a program may run longer than its certificate.
 */
export function connectionsOf(read: () => Result<ClientIdentity, string>): Connections {
  let known: { readonly key: string; readonly agent: Agent } | null = null;
  return () => {
    const found = read();
    if (!found.ok) return found;
    const key = JSON.stringify(found.value);
    if (known?.key === key) return ok(known.agent);
    // What is under way ends by the old one, which then closes its connections.
    void known?.agent.close();
    known = { key, agent: new Agent({ connect: { ...found.value, minVersion: 'TLSv1.2' } }) };
    return ok(known.agent);
  };
}
