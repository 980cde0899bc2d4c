import { readFile } from 'node:fs/promises';
import { connect as connectPlain, Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis';
import type { HostPort } from '../model/field.js';
import { ipFamily } from '../model/ip_literal.js';
import { describeNode, type RedisLogin, type RedisTls } from '../model/redis_url.js';
import { err, ok, type Result } from '../model/result.js';
import { describeError } from './describe_error.js';

const CONNECT_MS = 2_000;
/** A question to a node that may be dead must not keep the living ones waiting for long. */
const QUESTION_MS = 500;

/** The way of replies is named, because inferring it costs the compiler seconds. */
type Settings = RedisOptions & { readonly replyMapping?: 'legacy' };

/** A client of one server. */
export type Connection = Redis;

/** How to come to a server, wherever it is. */
export interface Access {
  readonly login: RedisLogin;
  readonly tls: RedisTls | null;
}

export interface LinkedAccess extends Access {
  /** Where to connect; asked before every attempt. */
  readonly locate: () => Promise<Result<HostPort, string>>;
  readonly database: number;
  readonly name: string;
  readonly commandTimeoutMs: number;
  /** How long to wait before the next attempt. */
  readonly retryMs: () => number;
}

/** A client that connects again for ever, each time to where `locate` says. It is not connected yet. */
export function openConnection(options: LinkedAccess): Connection {
  const { database, name, commandTimeoutMs } = options;
  const settings: Settings = {
    ...accessOptions(options.locate, options),
    db: database,
    connectionName: name,
    // The library waits by its own timers: it knows neither the clock nor a way to be given one.
    connectTimeout: CONNECT_MS,
    commandTimeout: commandTimeoutMs,
    // Armed while an answer is owed; longer than the command timeout, so that one slow command is not a lost link.
    socketTimeout: commandTimeoutMs + 500,
    retryStrategy: options.retryMs,
  };
  return new Redis<'legacy'>(settings);
}

/** A client for one node, connected; or why not. The caller disconnects it. */
export async function openOnce(node: HostPort, access: Access): Promise<Result<Connection, string>> {
  const settings: Settings = {
    ...accessOptions(() => Promise.resolve(ok(node)), access),
    protocol: 2,
    connectTimeout: QUESTION_MS,
    commandTimeout: QUESTION_MS,
    retryStrategy: () => null,
  };
  const redis = new Redis<'legacy'>(settings);
  let reason: string | undefined;
  redis.on('error', (error: Error) => {
    reason ??= describeError(error, QUESTION_MS);
  });
  try {
    await redis.connect();
    return ok(redis);
  } catch (error) {
    redis.disconnect();
    return err(`${describeNode(node)}: ${reason ?? describeError(error, QUESTION_MS)}`);
  }
}

/** Asks one node one question over a connection of its own, within about a second. The error names the node. */
export async function askOnce(
  node: HostPort,
  access: Access,
  command: readonly string[],
): Promise<Result<unknown, string>> {
  const opened = await openOnce(node, access);
  if (!opened.ok) return opened;
  const [name = '', ...args] = command;
  try {
    return ok(await opened.value.call(name, args));
  } catch (error) {
    return err(`${describeNode(node)}: ${describeError(error, QUESTION_MS)}`);
  } finally {
    opened.value.disconnect();
  }
}

function accessOptions(locate: LinkedAccess['locate'], { login, tls }: Access): Settings {
  return {
    Connector: connectorOf(locate, tls),
    // With it the library waits for the end of the handshake, not of the TCP connect.
    ...(tls === null ? {} : { tls: {} }),
    ...(login.username === null ? {} : { username: login.username }),
    ...(login.password === null ? {} : { password: login.password }),
    disableClientInfo: true,
    lazyConnect: true,
    disconnectTimeout: 100,
    // A command that lost its connection may have been applied: its caller decides, the client never sends it again.
    autoResendUnfulfilledCommands: false,
    // 0 fails what is in flight as soon as the connection is lost, 1 only after the command timeout.
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResubscribe: false,
    // The link does it, with the rest of what it needs from INFO.
    enableReadyCheck: false,
  };
}

/** What the library takes to make its sockets. A socket that is dead already says why, and the library tries again later. */
function connectorOf(
  locate: LinkedAccess['locate'],
  tls: RedisTls | null,
): NonNullable<RedisOptions['Connector']> {
  return class extends AbstractConnector {
    constructor() {
      super(100);
    }
    async connect(): Promise<Socket> {
      this.connecting = true;
      const opened = await this.#open();
      if (!opened.ok) this.firstError = new Error(opened.error);
      const stream = opened.ok ? opened.value : new Socket().destroy();
      stream.once('error', (error) => (this.firstError = error));
      // The library listens once, and only while it wants the socket: an alert of TLS may still come to one that it has given up.
      stream.on('error', () => undefined);
      this.stream = stream;
      return stream;
    }
    async #open(): Promise<Result<Socket, string>> {
      const node = await locate();
      if (!node.ok) return node;
      const secure = tls === null ? ok(null) : await tlsOptions(node.value, tls);
      if (!secure.ok) return secure;
      // Somebody may have closed the client meanwhile.
      if (!this.connecting) return err('the connection was closed');
      const { host, port } = node.value;
      return ok(
        secure.value === null ? connectPlain({ host, port }) : connectTls({ host, port, ...secure.value }),
      );
    }
  };
}

/** Reads the files anew for every connection, so that certificates may be renewed under way. */
async function tlsOptions(node: HostPort, tls: RedisTls): Promise<Result<ConnectionOptions, string>> {
  if (tls.server_name === null && ipFamily(node.host) !== null)
    return err(
      `the certificate of ${describeNode(node)} cannot be checked: add server_name to the Redis URL`,
    );
  const servername = tls.server_name ?? node.host;
  try {
    const ca = await readFile(tls.ca, 'utf8');
    if (tls.client === null) return ok({ servername, ca });
    const [cert, key] = await Promise.all([
      readFile(tls.client.cert, 'utf8'),
      readFile(tls.client.key, 'utf8'),
    ]);
    return ok({ servername, ca, cert, key });
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}
