import { portField, wholeField, type HostPort } from './field.js';
import { ipFamily } from './ip_literal.js';
import { err, ok, type Result } from './result.js';

/*
 * One grammar for every Redis URL, of the controller and of the gateways: docs/contract/redis_urls.json has what it takes and
 * refuses, and lua/ebbgate/core/redis_url.lua reads the same.
 */

/** A user and a password, each null if there is none. */
export interface RedisLogin {
  readonly username: string | null;
  readonly password: string | null;
}

/** How a connection is encrypted. Paths are those of files in PEM. */
export interface RedisTls {
  /** Certificates of the authorities that are believed. */
  readonly ca: string;
  /** The DNS name that every server's certificate must be for; null: the name under which it is reached. */
  readonly server_name: string | null;
  /** What this side shows of itself, if it is asked. */
  readonly client: { readonly cert: string; readonly key: string } | null;
}

/** Where a Redis is, how it is found there, and who we are to it. */
export interface RedisAddress extends RedisLogin {
  /** `single`: the node is the Redis. `sentinel`: the nodes know which one is the master. `cluster`: the nodes know who has our slot. */
  readonly kind: 'single' | 'sentinel' | 'cluster';
  /** At least one; hosts are names or IP literals without brackets. */
  readonly nodes: readonly HostPort[];
  /** The master's name among sentinels, else null. */
  readonly name: string | null;
  readonly database: number;
  /** Who we are to the sentinels; of other kinds both are null. */
  readonly sentinel: RedisLogin;
  readonly tls: RedisTls | null;
}

const MOST_NODES = 16;
/** Where Debian, Ubuntu and Alpine keep the authorities that the system believes. */
const SYSTEM_CA = '/etc/ssl/certs/ca-certificates.crt';
const FORM =
  'redis://[[user]:password@]host[:port][/database], redis+sentinel://…host[:port],…/name[/database] or redis+cluster://…host[:port],…, with rediss for TLS';
/** Scheme, kind, then optional credentials up to the last @, then hosts, then an optional path, then optional members. */
const PARTS = /^(rediss?)(\+sentinel|\+cluster)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*$/;
const PATH = /^\/[A-Za-z0-9._/@+=,:-]{1,254}$/;
const databaseField = wholeField(0, 1_000_000);
const TLS_MEMBERS = ['ca', 'server_name', 'cert', 'key'];
const SENTINEL_MEMBERS = ['sentinel_user', 'sentinel_password'];

/**
 * Reads a Redis URL. Ports default to 6379, those of sentinels to 26379; the database to 0. Credentials are
 * percent-decoded. A user may lack a password, which then must come from elsewhere. A failure is one sentence that says how to correct it
 * and never repeats a password.
 */
export function parseRedisUrl(url: string): Result<RedisAddress, string> {
  const parts = /^[\x21-\x7e]*$/.test(url) ? PARTS.exec(url) : null;
  if (parts === null)
    return err(`the Redis URL must look like ${FORM}; write / ? # @ : in a password percent-encoded`);
  const [, scheme, plus, credentials, rawHosts = '', rawPath = '', query] = parts;
  const kind = plus === '+sentinel' ? 'sentinel' : plus === '+cluster' ? 'cluster' : 'single';
  const nodes = parseNodes(rawHosts, kind);
  if (!nodes.ok) return nodes;
  const login = parseCredentials(credentials);
  if (!login.ok) return login;
  const place = parsePath(rawPath, kind);
  if (!place.ok) return place;
  const members = parseMembers(query, scheme === 'rediss', kind === 'sentinel');
  if (!members.ok) return members;
  const tls = scheme === 'rediss' ? parseTls(members.value, nodes.value) : ok(null);
  if (!tls.ok) return tls;
  const sentinel = {
    username: members.value.get('sentinel_user') ?? null,
    password: members.value.get('sentinel_password') ?? null,
  };
  return ok({ kind, nodes: nodes.value, ...login.value, ...place.value, sentinel, tls: tls.value });
}

/** The address that a URL spells which was checked before; any other throws. */
export function addressOf(url: string): RedisAddress {
  const address = parseRedisUrl(url);
  if (!address.ok) throw new Error(address.error);
  return address.value;
}

/** The address for logs and messages, without credentials. */
export function describeAddress({ kind, nodes, name, database, tls }: RedisAddress): string {
  const scheme = (tls === null ? 'redis' : 'rediss') + (kind === 'single' ? '' : `+${kind}`);
  const path = kind === 'cluster' ? '' : `/${name === null ? '' : `${name}/`}${String(database)}`;
  return `${scheme}://${nodes.map(describeNode).join(',')}${path}`;
}

/** `host:port`, an IPv6 host in brackets. */
export function describeNode({ host, port }: HostPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
}

/** The address with passwords where it has none of its own. A failure says which user has no password, or which password no use. */
export function withPasswords(
  address: RedisAddress,
  { password, sentinelPassword }: { readonly password: string; readonly sentinelPassword: string },
): Result<RedisAddress, string> {
  const own = fill(address, password);
  const sentinel = fill(address.sentinel, sentinelPassword);
  if (own === null) return err('the Redis URL has a user but no password');
  if (sentinel === null) return err('the Redis URL has a sentinel_user but no sentinel_password');
  return ok({ ...address, ...own, sentinel });
}

function fill({ username, password }: RedisLogin, given: string): RedisLogin | null {
  const found = password ?? (given === '' ? null : given);
  return username !== null && found === null ? null : { username, password: found };
}

function parseNodes(text: string, kind: RedisAddress['kind']): Result<readonly HostPort[], string> {
  const nodes: HostPort[] = [];
  for (const part of text.split(',')) {
    const [, rawHost = '', rawPort] = /^(\[[^\]]*\]|[^:[\]]*)(?::(.*))?$/.exec(part) ?? [];
    const host = parseHost(rawHost);
    if (host === null) return err(`a host of the Redis URL must be a host name or an IP address: ${FORM}`);
    const port = portField.parse(rawPort ?? (kind === 'sentinel' ? '26379' : '6379'));
    if (!port.ok) return err(`the Redis URL's port ${port.error}: ${FORM}`);
    nodes.push({ host, port: port.value });
  }
  if (kind === 'single' && nodes.length > 1)
    return err(
      'the Redis URL has several hosts: write redis+sentinel:// or redis+cluster:// for what they are',
    );
  return nodes.length > MOST_NODES
    ? err(`the Redis URL has more than ${String(MOST_NODES)} hosts`)
    : ok(nodes);
}

function parseHost(text: string): string | null {
  if (!text.startsWith('[')) return isName(text) || ipFamily(text) === 4 ? text : null;
  const inner = text.slice(1, -1);
  return ipFamily(inner) === 6 ? inner : null;
}

/** A name that ends in a number is an address that was written wrong. */
function isName(text: string): boolean {
  return HOST_NAME.test(text) && !/(?:^|\.)\d+$/.test(text);
}

function parsePath(
  text: string,
  kind: RedisAddress['kind'],
): Result<{ readonly name: string | null; readonly database: number }, string> {
  const [name = '', ...rest] = kind === 'sentinel' ? text.split('/') : ['', text];
  if (kind === 'sentinel' && !/^[A-Za-z0-9._-]{1,64}$/.test(name))
    return err(`the Redis URL needs the master's name behind the sentinels, of A-Z a-z 0-9 . _ -: ${FORM}`);
  const rawDatabase = rest.join('/');
  const database = databaseField.parse(rawDatabase === '' ? '0' : rawDatabase);
  if (!database.ok) return err(`the Redis URL's database ${database.error}: ${FORM}`);
  if (kind === 'cluster' && database.value !== 0)
    return err("the Redis URL's database must be 0 on Redis Cluster");
  return ok({ name: kind === 'sentinel' ? name : null, database: database.value });
}

function parseCredentials(text: string | undefined): Result<RedisLogin, string> {
  if (text === undefined) return ok({ username: null, password: null });
  const colon = text.indexOf(':');
  const username = decode(colon < 0 ? text : text.slice(0, colon));
  const password = colon < 0 ? null : decode(text.slice(colon + 1));
  if (username === undefined || password === undefined)
    return err("the Redis URL's user and password must be percent-encoded: write % as %25");
  if (password === '' || (username === '' && password === null))
    return err('the Redis URL has an empty password; leave out the colon, or everything up to the @');
  return ok({ username: username === '' ? null : username, password });
}

function parseMembers(
  query: string | undefined,
  isTls: boolean,
  isSentinel: boolean,
): Result<ReadonlyMap<string, string>, string> {
  const members = new Map<string, string>();
  if (query === undefined) return ok(members);
  for (const part of query.split('&')) {
    const at = part.indexOf('=');
    const name = at < 0 ? part : part.slice(0, at);
    const known = TLS_MEMBERS.includes(name) || SENTINEL_MEMBERS.includes(name);
    if (!known || members.has(name))
      return err(
        `the Redis URL must look like ${FORM}; behind the ? may be ${[...TLS_MEMBERS, ...SENTINEL_MEMBERS].join(', ')}, each once`,
      );
    if (TLS_MEMBERS.includes(name) && !isTls)
      return err(`the Redis URL has ${name} without TLS: write rediss`);
    if (SENTINEL_MEMBERS.includes(name) && !isSentinel)
      return err(`the Redis URL has ${name} without sentinels: write redis+sentinel`);
    const value = at < 0 ? '' : decode(part.slice(at + 1));
    if (value === undefined || value === '')
      return err(`the Redis URL's ${name} must not be empty, and must be percent-encoded`);
    members.set(name, value);
  }
  return ok(members);
}

function parseTls(
  members: ReadonlyMap<string, string>,
  nodes: readonly HostPort[],
): Result<RedisTls, string> {
  const [ca, cert, key] = [members.get('ca') ?? SYSTEM_CA, members.get('cert'), members.get('key')];
  for (const file of [ca, cert, key])
    if (file !== undefined && !PATH.test(file))
      return err("the Redis URL's ca, cert and key must be absolute paths of A-Z a-z 0-9 . _ / @ + = , : -");
  if ((cert === undefined) !== (key === undefined))
    return err('the Redis URL needs both cert and key, or neither');
  const serverName = members.get('server_name') ?? null;
  if (serverName === null && nodes.some(({ host }) => ipFamily(host) !== null))
    return err(
      "the Redis URL needs server_name, the DNS name of the servers' certificates, because a host is an IP address",
    );
  if (serverName !== null && !isName(serverName))
    return err("the Redis URL's server_name must be a DNS name");
  const client = cert === undefined || key === undefined ? null : { cert, key };
  return ok({ ca, server_name: serverName, client });
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
