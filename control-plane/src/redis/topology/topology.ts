import type { HostPort } from '../../model/field.js';
import type { Result } from '../../model/result.js';

/** Where the one server is that may be written. */
export interface Topology {
  /** Asks anew every time, within about a second. The error says whom was asked and what they said. */
  readonly locate: () => Promise<Result<HostPort, string>>;
  /** A server has named another one, which is believed for a few seconds before the others are asked again. */
  readonly moved: (to: HostPort) => void;
}

/** Asks one node one question. The error names the node. */
export type Ask = (node: HostPort, command: readonly string[]) => Promise<Result<unknown, string>>;
