import type { NodeStat } from './protocol.js';

/*
 * The stamp of a record: where its znode was created, and how often it was set since.
 */

/** `<czxid>-<version>`, the first in hexadecimal. */
export function etagOf(stat: NodeStat): string {
  return `${shortHex(stat.czxid)}-${String(stat.version)}`;
}

/**
 * The znode version that `etag` asks for, or null if it is plain that it is another node's: a transaction checks versions
 * only, and a node that was deleted and created again could have the same one. `known` is what was read there last.
 */
export function versionIn(etag: string, known: NodeStat | undefined): number | null {
  const match = /^([0-9a-f]{1,16})-(\d{1,10})$/.exec(etag);
  if (match === null || (known !== undefined && shortHex(known.czxid) !== match[1])) return null;
  return Number(match[2]);
}

function shortHex(zxid: string): string {
  return zxid.replace(/^0+(?=.)/, '');
}
