// Longer than other files: every operation of the library, and the one place that reaches into it.
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ACL, createClient, CreateMode, Exception, Id, type Client, type Stat } from 'node-zookeeper-client';
import { refusedCredentials, type Access, type TlsMaterial } from './access.js';
import type { AclEntry } from './acl.js';
import type { Credential } from './credentials.js';
import {
  errorName,
  eventType,
  frame,
  namesIn,
  type Committed,
  type NodeStat,
  type RawRequest,
  type ReadChildren,
  type ReadNode,
  type ServerAddress,
  type TransactionOperation,
  type WatchEvent,
} from './protocol.js';

/** What the one user of a client hears from it, always from inside a socket's handler: only take note there. */
export interface ClientHooks {
  opened(sessionTimeoutMs: number): void;
  /** Some bytes have come; called before they are read. */
  heard(): void;
  event(event: WatchEvent): void;
  /** The client is of no more use; destroy it. May be called more than once. */
  ended(reason: string): void;
}

/** Gets ZooKeeper's code (0 = done) and, if it is 0, the value. Called at most once; never after the end. */
export type Done<T> = (code: number, value: () => T) => void;

/*
 * What the library keeps to itself and this file needs: the connection manager, to stop its reconnecting, to send
 * what it has no method for, and to catch what it would throw inside a socket's handler.
 */
interface Manager {
  connect: () => void;
  setState: (state: number) => void;
  onSocketConnected: () => void;
  onSocketData: (chunk: Buffer) => void;
  onSocketDrain: () => void;
  onSocketClosed: (hasError: boolean) => void;
  queue: (request: unknown, callback: (error: unknown) => void) => void;
  on: (event: 'state', listener: (state: number) => void) => void;
  removeAllListeners: (event: 'state') => void;
  socket?: Socket;
  zxid: Buffer;
  packetQueue: { queue: unknown[] };
  pendingQueue: unknown[];
  watcherManager: { emit: (event: { type: number; path: string }) => void };
}

/** The manager's states. */
const STATE = {
  disconnected: 0,
  connecting: 1,
  connected: 2,
  closed: -2,
  expired: -3,
  authFailed: -4,
} as const;
/** A frame that claims more is damage; ZooKeeper's own limit for answers is 1 or 4 MiB as a rule. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024;
/** The number of every answer to credentials. */
const AUTH_XID = -4;

/*
 * The library throws on error codes that it does not know (-118 … -127), and it does so inside the socket's handler,
 * which ends the process. Whatever the code, an error must be a value.
 */
const exceptions = Exception as unknown as { create: (code: number, path?: string) => unknown };
const createKnown = exceptions.create;
exceptions.create = (code, path) => {
  try {
    return createKnown(code, path);
  } catch {
    return Object.assign(new Error(errorName(code)), { code, path, getCode: () => code });
  }
};

/** What a client is for, and by what right. */
export interface ClientOptions {
  readonly server: ServerAddress;
  readonly sessionTimeoutMs: number;
  readonly access: Access;
}

/**
 * One connection, by TCP or TLS, and one session through node-zookeeper-client, with everything taken from the library that it
 * would do by itself: it makes no socket, never reconnects, never throws out of a handler, and splits no frames. It is opened once
 * ZooKeeper has taken all credentials. It has no deadlines; those belong to its user (connection.ts).
 */
export class DisposableClient {
  readonly #client: Client;
  readonly #manager: Manager;
  readonly #hooks: ClientHooks;
  #socketError = '';
  #unread: Buffer = Buffer.alloc(0);
  /** The answer that the library is reading. */
  #answer: Buffer = Buffer.alloc(0);
  #closing = false;
  #destroyed = false;
  /** How many credentials were sent before the session is used, and have no answer yet. */
  #owed: number;
  readonly #credentialsFrom: string;
  readonly #isPlain: boolean;

  constructor({ server, sessionTimeoutMs, access }: ClientOptions, hooks: ClientHooks) {
    this.#hooks = hooks;
    this.#owed = access.credentials.length;
    this.#credentialsFrom = access.credentialsFrom;
    this.#isPlain = access.tls === null;
    // The address is a substitute: the socket is made below.
    this.#client = createClient('127.0.0.1:1', { sessionTimeout: sessionTimeoutMs, retries: 0 });
    this.#manager = (this.#client as unknown as { connectionManager: Manager }).connectionManager;
    this.#tame();
    for (const one of access.credentials) this.addCredential(one);
    this.#connect(server, access.tls);
  }

  /** Gives the session one more user. A refusal ends the client. */
  addCredential({ user, password }: Credential): void {
    this.#client.addAuthInfo('digest', Buffer.from(`${user}:${password}`, 'utf8'));
  }

  /** 16 hex digits, as in `ephemeralOwner`. */
  get sessionId(): string {
    return this.#client.getSessionId().toString('hex');
  }

  /** The state of the server that its newest answer spoke of. */
  get zxid(): string {
    return this.#manager.zxid.toString('hex');
  }

  getData(path: string, watch: boolean, done: Done<ReadNode>): void {
    const answer = (error: unknown, data: Buffer | undefined, stat: Stat): void => {
      done(codeOf(error), () => ({ data: data ?? Buffer.alloc(0), stat: statOf(stat), zxid: this.zxid }));
    };
    if (watch) this.#client.getData(path, ignoreEvent, answer);
    else this.#client.getData(path, answer);
  }

  getChildren(path: string, watch: boolean, done: Done<ReadChildren>): void {
    const answer = (error: unknown, names: string[] | undefined, stat: Stat): void => {
      done(codeOf(error), () => ({ names: names ?? [], stat: statOf(stat), zxid: this.zxid }));
    };
    if (watch) this.#client.getChildren(path, ignoreEvent, answer);
    else this.#client.getChildren(path, answer);
  }

  exists(path: string, watch: boolean, done: Done<NodeStat | null>): void {
    const answer = (error: unknown, stat: Stat | null): void => {
      done(codeOf(error), () => (stat === null ? null : statOf(stat)));
    };
    if (watch) this.#client.exists(path, ignoreEvent, answer);
    else this.#client.exists(path, answer);
  }

  create({ path, data, ephemeral, acl }: NewNode, done: Done<null>): void {
    this.#client.create(path, data, aclOf(acl), modeOf(ephemeral), (error) => {
      done(codeOf(error), () => null);
    });
  }

  /** An ephemeral node whose name the server completes by the next number of its folder; the value is its path. */
  createNumbered({ path, data, acl }: Omit<NewNode, 'ephemeral'>, done: Done<string>): void {
    this.#client.create(path, data, aclOf(acl), CreateMode.EPHEMERAL_SEQUENTIAL, (error, created) => {
      done(codeOf(error), () => created);
    });
  }

  getAcl(path: string, done: Done<readonly AclEntry[]>): void {
    this.#client.getACL(path, (error, acls) => {
      done(codeOf(error), () => entriesOf(acls));
    });
  }

  setAcl(path: string, acl: readonly AclEntry[], done: Done<null>): void {
    this.#client.setACL(path, aclOf(acl), -1, (error) => {
      done(codeOf(error), () => null);
    });
  }

  setData(path: string, data: Buffer, version: number, done: Done<NodeStat>): void {
    this.#client.setData(path, data, version, (error, stat) => {
      done(codeOf(error), () => statOf(stat));
    });
  }

  remove(path: string, version: number, done: Done<null>): void {
    this.#client.remove(path, version, (error) => {
      done(codeOf(error), () => null);
    });
  }

  /** `refused` is the index of the operation that failed; -1 if none did or it is not known. */
  transaction(
    operations: readonly TransactionOperation[],
    aclAt: (path: string) => readonly AclEntry[],
    done: (code: number, value: () => Committed, refused: number) => void,
  ): void {
    const transaction = this.#client.transaction() as LibraryTransaction;
    for (const operation of operations) addOperation(transaction, operation, aclAt);
    transaction.commit((error, answered: readonly TransactionResult[] | undefined) => {
      const results = answered ?? [];
      const refused = error ? results.findIndex((result) => (result.err ?? 0) !== 0) : -1;
      const value = (): Committed => ({
        stats: results.map((result) => (result.stat ? statOf(result.stat) : null)),
        zxid: this.zxid,
      });
      done(codeOf(error), value, refused);
    });
  }

  /** Sends a request that the library has no method for. The value is the names in its answer, if it has some. */
  raw(request: RawRequest, path: string, done: Done<readonly string[]>): void {
    // Type 101 (setWatches) is the one whose answer the library takes without a body.
    const header = { xid: 0, type: 101 };
    const bytes = { header, payload: null, toBuffer: () => frame(request, header.xid, path) };
    this.#manager.queue(bytes, (error) => {
      done(codeOf(error), () => namesIn(this.#answer));
    });
  }

  /** Asks the server to end the session; `ended` follows once it has. Only on an open client: else it may throw. */
  closeSession(): void {
    this.#closing = true;
    this.#client.close();
  }

  /** Leaves nothing behind: no timer, no socket, no callback. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#client.removeAllListeners();
    this.#manager.removeAllListeners('state');
    this.#manager.packetQueue.queue = [];
    this.#manager.pendingQueue = [];
    this.#manager.socket?.destroy(); // its listeners stay: they swallow its last events
  }

  /** What the library would do by itself, with a socket of our own; it never does it again. */
  #connect(server: ServerAddress, tls: TlsMaterial | null): void {
    const manager = this.#manager;
    manager.connect = () => undefined;
    manager.setState(STATE.connecting);
    const socket = tls === null ? connectTcp(server) : secureSocket(server, tls);
    manager.socket = socket;
    socket.setNoDelay();
    socket.on(tls === null ? 'connect' : 'secureConnect', () => {
      manager.onSocketConnected();
    });
    socket.on('data', (chunk) => {
      this.#onBytes(chunk);
    });
    socket.on('drain', () => {
      manager.onSocketDrain();
    });
    socket.on('close', (hasError) => {
      manager.onSocketClosed(hasError);
    });
    socket.on('error', (error) => (this.#socketError = tls === null ? error.message : reasonOfTls(error)));
  }

  #tame(): void {
    const manager = this.#manager;
    const forget = manager.watcherManager.emit.bind(manager.watcherManager);
    manager.watcherManager.emit = (event) => {
      const type = eventType(event.type);
      if (type === undefined) return;
      forget(event); // frees what the library remembers of one-shot watches
      this.#hooks.event({ type, path: event.path });
    };
    manager.on('state', (state) => {
      this.#onState(state);
    });
  }

  /** Hands the library one whole frame at a time: it recurses and copies for every frame that it splits itself. */
  #onBytes(chunk: Buffer): void {
    if (this.#destroyed) return;
    try {
      this.#hooks.heard();
      let bytes = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
      while (bytes.length >= 4) {
        const size = bytes.readInt32BE(0);
        if (size < 0 || size > MAX_FRAME_BYTES) throw new Error(`a frame of ${size} bytes`);
        if (bytes.length < size + 4) break;
        this.#answer = bytes.subarray(0, size + 4);
        this.#manager.onSocketData(this.#answer);
        this.#countCredentials();
        bytes = bytes.subarray(size + 4);
      }
      this.#unread = bytes;
    } catch (error) {
      this.#hooks.ended(`unreadable answer: ${String(error)}`);
    }
  }

  /** The library passes on no answer to credentials but a refusal. */
  #countCredentials(): void {
    if (this.#owed === 0 || this.#answer.length < 8 || this.#answer.readInt32BE(4) !== AUTH_XID) return;
    this.#owed -= 1;
    if (this.#owed === 0 && !this.#destroyed) this.#hooks.opened(this.#client.getSessionTimeout());
  }

  #onState(state: number): void {
    if (this.#destroyed) return;
    if (state === STATE.connected) {
      if (this.#owed === 0) this.#hooks.opened(this.#client.getSessionTimeout());
    } else if (state === STATE.expired) this.#hooks.ended('session expired');
    else if (state === STATE.authFailed) this.#hooks.ended(refusedCredentials(this.#credentialsFrom));
    else if (state === STATE.closed) this.#hooks.ended('closed');
    else if (state === STATE.disconnected && !this.#closing)
      this.#hooks.ended(this.#socketError === '' ? this.#reasonOfClose() : this.#socketError);
  }

  /** A port for TLS has no other answer to a client without; nor has a server with too many connections. */
  #reasonOfClose(): string {
    const before = this.#isPlain && this.#answer.length === 0;
    return before
      ? 'the server closed the connection before it answered: does this port want TLS (EBBGATE_ZOOKEEPER_TLS=on)?'
      : 'the server closed the connection';
  }
}

interface TransactionResult {
  readonly type: number;
  readonly err?: number;
  readonly stat?: Stat;
}
type LibraryTransaction = ReturnType<Client['transaction']> & { ops: { version?: number }[] };

/** The library turns version 0 into -1 and so skips the check: the version is put right after adding. */
function addOperation(
  transaction: LibraryTransaction,
  operation: TransactionOperation,
  aclAt: (path: string) => readonly AclEntry[],
): void {
  if (operation.kind === 'create') {
    const { path, data, ephemeral } = operation;
    transaction.create(path, data, aclOf(aclAt(path)), modeOf(ephemeral === true));
    return;
  }
  if (operation.kind === 'check') transaction.check(operation.path, operation.version);
  else if (operation.kind === 'set') transaction.setData(operation.path, operation.data, operation.version);
  else transaction.remove(operation.path, operation.version);
  const added = transaction.ops.at(-1);
  if (added !== undefined) added.version = operation.version;
}

/** A node to create. */
interface NewNode {
  readonly path: string;
  readonly data: Buffer;
  readonly ephemeral: boolean;
  readonly acl: readonly AclEntry[];
}

function secureSocket(server: ServerAddress, material: TlsMaterial): Socket {
  // An address has no name to ask for; the certificate must name it all the same.
  const servername = isIP(server.host) === 0 ? server.host : '';
  return connectTls({ ...server, ...material, servername, minVersion: 'TLSv1.2', rejectUnauthorized: true });
}

/** Errors of Node for a certificate that nobody signed whom we believe. */
const UNBELIEVED = [
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
];

/** OpenSSL's own words where it has some, without the place in its source. */
function reasonOfTls(error: Error & { readonly reason?: unknown; readonly code?: unknown }): string {
  const reason = `TLS: ${typeof error.reason === 'string' ? error.reason : error.message}`;
  return typeof error.code === 'string' && UNBELIEVED.includes(error.code)
    ? `${reason}: EBBGATE_ZOOKEEPER_TLS_CA must name the authority that signed it`
    : reason;
}

function aclOf(entries: readonly AclEntry[]): ACL[] {
  return entries.map(({ scheme, id, permissions }) => new ACL(permissions, new Id(scheme, id)));
}

/** The types of the library say `permissions`, its objects say `permission`. */
function entriesOf(acls: readonly unknown[]): readonly AclEntry[] {
  const read = acls as readonly { readonly permission: number; readonly id: Omit<AclEntry, 'permissions'> }[];
  return read.map(({ permission, id: { scheme, id } }) => ({ scheme, id, permissions: permission }));
}

function modeOf(ephemeral: boolean): number {
  return ephemeral ? CreateMode.EPHEMERAL : CreateMode.PERSISTENT;
}

function codeOf(error: unknown): number {
  if (error === null || error === undefined) return 0;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'number' ? code : -1;
}

function statOf(stat: Stat): NodeStat {
  return {
    czxid: stat.czxid.toString('hex'),
    pzxid: stat.pzxid.toString('hex'),
    mzxid: stat.mzxid.toString('hex'),
    ctime: Number(stat.ctime.readBigInt64BE()),
    mtime: Number(stat.mtime.readBigInt64BE()),
    version: stat.version,
    ephemeralOwner: stat.ephemeralOwner.toString('hex'),
    numChildren: stat.numChildren,
  };
}

function ignoreEvent(): void {
  // The library wants a watcher; events are taken where they all pass.
}
