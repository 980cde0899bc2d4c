/** Where one server listens. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

/** What a node's stat says. Transaction ids are 16 hex digits, so they compare as strings. */
export interface NodeStat {
  readonly czxid: string;
  readonly mzxid: string;
  /** Milliseconds of the server's wall clock. */
  readonly ctime: number;
  /** The same, of the last change. */
  readonly mtime: number;
  readonly version: number;
  /** The transaction that last created or removed a child. */
  readonly pzxid: string;
  /** The session that owns an ephemeral node, 16 hex digits; all zeros for a persistent one. */
  readonly ephemeralOwner: string;
  readonly numChildren: number;
}

/** The answer to a read: what the server kept at `zxid`. */
export interface ReadNode {
  readonly data: Buffer;
  readonly stat: NodeStat;
  readonly zxid: string;
}

/** The names under a node, as the server kept them at `zxid`. */
export interface ReadChildren {
  readonly names: readonly string[];
  readonly stat: NodeStat;
  readonly zxid: string;
}

/** A transaction that was applied. `stats` in the order of its operations; null for all kinds but `set`. */
export interface Committed {
  readonly stats: readonly (NodeStat | null)[];
  readonly zxid: string;
}

/** A watch has fired. `children` comes only from child watches (servers without recursive watches). */
export interface WatchEvent {
  readonly type: 'created' | 'deleted' | 'changed' | 'children';
  readonly path: string;
}

/** The error codes this folder decides by; every other code travels under its name as `other`. */
export type RefusalKind =
  | 'no_node'
  | 'node_exists'
  | 'bad_version'
  | 'not_empty'
  | 'unimplemented'
  /** The session may not do that with this node. */
  | 'no_auth'
  /** The server cannot give this node out. */
  | 'unreadable'
  /** Never sent: it would not fit into one request. */
  | 'too_large'
  | 'other';

/** An operation that did not succeed. */
export type OperationFailure =
  /** The server (or the check before sending) said no: nothing was applied. */
  | {
      readonly kind: RefusalKind;
      readonly message: string;
      /** The server's state that the refusal speaks of; empty if nothing was sent. */
      readonly zxid: string;
      /** In a transaction: which of its operations was refused. */
      readonly operation?: number;
    }
  /** No answer: the connection is gone, and a write may or may not have been applied. */
  | { readonly kind: 'lost'; readonly message: string };

/** One operation of a transaction. A version of -1 means any. */
export type TransactionOperation =
  | { readonly kind: 'check'; readonly path: string; readonly version: number }
  | { readonly kind: 'create'; readonly path: string; readonly data: Buffer; readonly ephemeral?: boolean }
  | { readonly kind: 'set'; readonly path: string; readonly data: Buffer; readonly version: number }
  | { readonly kind: 'remove'; readonly path: string; readonly version: number };

/** Code → name, as ZooKeeper's own KeeperException numbers them. */
const NAMES: Readonly<Record<number, string>> = {
  [-1]: 'system error',
  [-2]: 'runtime inconsistency',
  [-3]: 'data inconsistency',
  [-4]: 'connection loss',
  [-5]: 'marshalling error',
  [-6]: 'unimplemented',
  [-7]: 'operation timeout',
  [-8]: 'bad arguments',
  [-100]: 'API error',
  [-101]: 'no node',
  [-102]: 'no auth',
  [-103]: 'bad version',
  [-108]: 'no children for ephemerals',
  [-110]: 'node exists',
  [-111]: 'not empty',
  [-112]: 'session expired',
  [-113]: 'invalid callback',
  [-114]: 'invalid ACL',
  [-115]: 'auth failed',
  [-118]: 'session moved',
  [-119]: 'not read-only',
  [-120]: 'ephemeral on local session',
  [-121]: 'no watcher',
  [-122]: 'request timeout',
  [-123]: 'reconfig disabled',
  [-124]: 'session closed, SASL required',
  [-125]: 'quota exceeded',
  [-127]: 'throttled',
};

const KINDS: Readonly<Record<number, RefusalKind>> = {
  [-2]: 'unreadable',
  [-3]: 'unreadable',
  [-5]: 'unreadable',
  [-6]: 'unimplemented',
  [-101]: 'no_node',
  [-102]: 'no_auth',
  [-103]: 'bad_version',
  [-110]: 'node_exists',
  [-111]: 'not_empty',
};

/** Codes after which the session or its connection is of no more use. */
const FATAL: ReadonlySet<number> = new Set([-4, -112, -115, -118]);

/** The words for an error code, known or not. */
export function errorName(code: number): string {
  return NAMES[code] ?? `unknown error ${code}`;
}

/** What an error code means for the operation that got it. */
export function failureOf(code: number, zxid: string): OperationFailure {
  if (FATAL.has(code)) return { kind: 'lost', message: errorName(code) };
  return { kind: KINDS[code] ?? 'other', message: errorName(code), zxid };
}

const EVENT_TYPES: Readonly<Record<number, WatchEvent['type']>> = {
  1: 'created',
  2: 'deleted',
  3: 'changed',
  4: 'children',
};

/** A watch event by the server's number; undefined for the kinds that the client library cannot take (< 1, > 4). */
export function eventType(type: number): WatchEvent['type'] | undefined {
  return EVENT_TYPES[type];
}

const OPCODES = { addWatch: 106, removeWatches: 18, sync: 9, getEphemerals: 103 } as const;
/** addWatch: 1 = persistent recursive. removeWatches: 3 = of any type. */
const MODES = { addWatch: 1, removeWatches: 3, sync: undefined, getEphemerals: undefined } as const;

/** The requests that the client library has no method for. */
export type RawRequest = keyof typeof OPCODES;

/** The bytes of a request that the client library has no method for: length, xid, opcode, path, then its mode. */
export function frame(request: RawRequest, xid: number, path: string): Buffer {
  const mode = MODES[request];
  const name = Buffer.from(path, 'utf8');
  const size = 12 + name.length + (mode === undefined ? 0 : 4);
  const bytes = Buffer.alloc(4 + size);
  bytes.writeInt32BE(size, 0);
  bytes.writeInt32BE(xid, 4);
  bytes.writeInt32BE(OPCODES[request], 8);
  bytes.writeInt32BE(name.length, 12);
  name.copy(bytes, 16);
  if (mode !== undefined) bytes.writeInt32BE(mode, 16 + name.length);
  return bytes;
}

/** Length, xid, zxid and error code come before the body of an answer. */
const BODY_AT = 20;

/** The names in the answer to a request whose body is a list of names and nothing else. */
export function namesIn(frame: Buffer): readonly string[] {
  const names: string[] = [];
  let at = BODY_AT + 4;
  for (let left = frame.readInt32BE(BODY_AT); left > 0; left -= 1) {
    const end = at + 4 + frame.readInt32BE(at);
    names.push(frame.toString('utf8', at + 4, end));
    at = end;
  }
  return names;
}
