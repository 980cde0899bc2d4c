// Longer than other files: one table has every option.
import { accessSync, constants, statSync } from 'node:fs';
import type { ServerFiles } from './model/api_tls.js';
import { CONTRACTS, type ContractVersion, NEWEST_CONTRACT } from './model/contract.js';
import { own, put } from './model/dictionary.js';
import { readServerIdentity } from './disk/api_identity.js';
import { certificateFileField, keyFileField } from './disk/pem_fields.js';
import { parsePrefix } from './hooks/allowed.js';
import {
  durationField,
  listenField,
  serversField,
  wordField,
  znodePathField,
  type Field,
} from './model/field.js';
import { checkName } from './model/names.js';
import { err, ok, type Result } from './model/result.js';
import { parseRedisUrl, withPasswords } from './model/redis_url.js';
import { DEFAULT_FORMAT, parseFormatName, type NamedRoot } from './registry/formats.js';
import { parseNetworks } from './registry/networks.js';
import { accessFilesOf, aclField, credentialsFileField } from './zookeeper/access_fields.js';
import type { AccessFiles } from './zookeeper/access.js';

/*
 * One table has every option of the controller: its name, environment variable, type, default and meaning. The
 * reference page is generated from it. Parsed once at start; nothing reads the environment after that.
 */

type Kind<T> = Field<T>;

const roots: Kind<readonly NamedRoot[]> = {
  label: 'znode path[:format], comma-separated',
  parse: (value) => {
    const roots: NamedRoot[] = [];
    for (const part of value.split(',')) {
      const [, at = '', name] = /^\s*([^:]*)(?::(.*?))?\s*$/.exec(part) ?? [];
      if (!znodePathField.parse(at).ok)
        return err('must be absolute znode paths, comma-separated, like /services,/legacy or /services:json');
      const format = parseFormatName(name ?? DEFAULT_FORMAT);
      if (!format.ok) return format;
      roots.push({ path: at, format: format.value });
    }
    return ok(roots);
  },
};

/** Kept as text: the link to ZooKeeper reads it again. */
const servers: Kind<string> = {
  label: serversField.label,
  parse: (value) => {
    const parsed = serversField.parse(value);
    return parsed.ok ? ok(value) : parsed;
  },
};

const redisUrl: Kind<string> = {
  label: 'Redis URL',
  parse: (value) => {
    const address = parseRedisUrl(value);
    if (!address.ok) return address;
    const complete = withPasswords(address.value, { password: '', sentinelPassword: '' });
    return complete.ok ? ok(value) : complete;
  },
};

const baseUrl: Kind<string> = {
  label: 'URL',
  parse: (value) =>
    value === '' || /^https?:\/\/[A-Za-z0-9._:[\]-]+$/.test(value)
      ? ok(value)
      : err('must be http://host:port or https://host:port, and nothing more'),
};

const token: Kind<string> = {
  label: 'text without spaces',
  parse: (value) =>
    /^[\x21-\x7e]*$/.test(value) ? ok(value) : err('must be visible ASCII characters without spaces'),
};

const networks: Kind<readonly string[]> = {
  label: 'CIDRs, comma-separated',
  parse: (value) => {
    const parts = value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
    const networks = parseNetworks(parts);
    return networks.ok ? ok(parts) : networks;
  },
};

const prefixes: Kind<readonly string[]> = {
  label: 'URL prefixes, comma-separated',
  parse: (value) => {
    const parts = value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
    for (const part of parts) {
      const parsed = parsePrefix(part);
      if (!parsed.ok) return parsed;
    }
    return ok(parts);
  },
};

const prefix: Kind<string> = {
  label: 'URL',
  parse: (value) => {
    if (value === '') return ok(value);
    const parsed = parsePrefix(value);
    return parsed.ok ? ok(value) : parsed;
  },
};

const directory: Kind<string> = {
  label: 'absolute directory',
  parse: (value) => {
    if (value === '') return ok(value);
    if (!value.startsWith('/')) return err('must be an absolute path');
    try {
      if (!statSync(value).isDirectory()) return err('must be a directory, and is a file');
      accessSync(value, constants.R_OK | constants.X_OK);
      return ok(value);
    } catch (error) {
      return err(
        `must be a directory that can be read: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  },
};

/** It is made when it is missing. */
const stateDirectory: Kind<string> = {
  label: 'absolute directory',
  parse: (value) => (value === '' || value.startsWith('/') ? ok(value) : err('must be an absolute path')),
};

const controllerId: Kind<string> = {
  label: 'name',
  parse: (value) => {
    const checked = checkName('gateway', value, 'it');
    return checked.ok ? checked : err(checked.error.message.replace(/^it /, ''));
  },
};

const contract: Kind<ContractVersion> = {
  label: CONTRACTS.join(' or '),
  parse: (value) => {
    const found = CONTRACTS.find((version) => String(version) === value);
    return found === undefined ? err(`must be ${CONTRACTS.join(' or ')}`) : ok(found);
  },
};

function option<T>(env: string, kind: Kind<T>, fallback: string, doc: string) {
  return { env, kind, fallback, doc };
}

/** Every option, in the order of the reference page. */
export const OPTIONS = {
  zookeeper: option('EBBGATE_ZOOKEEPER', servers, '127.0.0.1:2181', 'ZooKeeper servers.'),
  zookeeperSessionMs: option(
    'EBBGATE_ZOOKEEPER_SESSION',
    durationField(1_000, 60_000),
    '6s',
    "Session timeout of the controller's own connection.",
  ),
  zookeeperAuthFile: option(
    'EBBGATE_ZOOKEEPER_AUTH_FILE',
    credentialsFileField,
    '',
    'Who the controller is to ZooKeeper. With it nodes are created for these users alone, besides those named by the two options below. ' +
      'Everybody else may not read the file. It is read again for each connection, and looked at every 10 s.',
  ),
  zookeeperAcl: option(
    'EBBGATE_ZOOKEEPER_ACL',
    aclField,
    'none',
    "Who else may do what with Ebbgate's own nodes, as zkCli writes it: world:anyone:r lets everybody read. It counts with EBBGATE_ZOOKEEPER_AUTH_FILE.",
  ),
  registrationAcl: option(
    'EBBGATE_ZOOKEEPER_REGISTRATION_ACL',
    aclField,
    'world:anyone:r',
    'The same for what Ebbgate creates below the registry roots: folders, consumers and, by ebbgate register, instances.',
  ),
  zookeeperTls: option(
    'EBBGATE_ZOOKEEPER_TLS',
    wordField('off', 'on'),
    'off',
    "TLS to ZooKeeper. The servers' certificates are verified, with their names.",
  ),
  zookeeperTlsCa: option(
    'EBBGATE_ZOOKEEPER_TLS_CA',
    certificateFileField,
    '',
    "Who signs the servers' certificates. Empty: whom Node trusts. The three files are read again for each connection.",
  ),
  zookeeperTlsCert: option(
    'EBBGATE_ZOOKEEPER_TLS_CERT',
    certificateFileField,
    '',
    "The controller's own certificate, with those between it and its authority. Empty: none is shown.",
  ),
  zookeeperTlsKey: option('EBBGATE_ZOOKEEPER_TLS_KEY', keyFileField, '', 'Its key.'),
  registryRoots: option(
    'EBBGATE_REGISTRY_ROOTS',
    roots,
    '/services',
    'Where services register. Several roots are read as one registry, each in the format behind its colon: /services:json. Without one: json.',
  ),
  root: option(
    'EBBGATE_ROOT',
    znodePathField,
    '/ebbgate',
    "Where Ebbgate keeps epoch, intents and the gateways' roster.",
  ),
  redis: option(
    'EBBGATE_REDIS',
    redisUrl,
    'redis://127.0.0.1:6379',
    'Redis, as redis://user:password@host:port/0, redis+sentinel://…host,…/master or redis+cluster://…host,…; rediss for TLS, with ca=, server_name=, cert= and key= behind a ?.',
  ),
  apiListen: option('EBBGATE_API_LISTEN', listenField, '127.0.0.1:8090', 'Where the control API listens.'),
  apiTlsCert: option(
    'EBBGATE_API_TLS_CERT',
    certificateFileField,
    '',
    'The certificate of the control API, with those between it and its authority. With it the API speaks TLS 1.2 and above, and nothing else. The files are looked at every 5 s.',
  ),
  apiTlsKey: option('EBBGATE_API_TLS_KEY', keyFileField, '', 'Its key, without a passphrase.'),
  apiClientCa: option(
    'EBBGATE_API_CLIENT_CA',
    certificateFileField,
    '',
    'Who signs the certificates of clients: one that a token is for proves that token. Empty: none is asked for.',
  ),
  apiCa: option(
    'EBBGATE_API_CA',
    certificateFileField,
    '',
    "Who signs the certificates of the other controllers' APIs, to which a standby sends changes on. Empty: whom Node trusts.",
  ),
  apiAdvertise: option(
    'EBBGATE_API_ADVERTISE',
    baseUrl,
    '',
    'Where other controllers reach the control API, like http://10.0.0.5:8090, with a certificate https://. Empty: the address on which it listens; on every address: the name of the host.',
  ),
  token: option(
    'EBBGATE_TOKEN',
    token,
    '',
    'Bearer token of the control API. Without one the API listens on loopback only.',
  ),
  allowedNetworks: option(
    'EBBGATE_ALLOWED_NETWORKS',
    networks,
    '',
    'Networks an instance may register from. Empty: all but special-purpose addresses (loopback, link-local, metadata services, multicast, documentation, reserved); private ones are allowed.',
  ),
  settleMs: option(
    'EBBGATE_SETTLE',
    durationField(0, 3_600_000),
    '20s',
    'How long removals wait after ZooKeeper was silent. ' + "Twice the providers' session timeout is right.",
  ),
  suspectMs: option(
    'EBBGATE_SUSPECT',
    durationField(0, 3_600_000),
    '60s',
    'How long instances that vanished in a crowd stay in use as suspects. 0 turns the shrink guard off; the last ones of a service stay all the same, until somebody speaks.',
  ),
  recheckMs: option(
    'EBBGATE_RECHECK',
    durationField(1_000, 300_000),
    '5m',
    'How often everything in ZooKeeper is looked at again: ZooKeeper reports nothing of nodes that the controller may not read. ' +
      'Those that could not be read are looked at 20 times as often.',
  ),
  gatewaySilentMs: option(
    'EBBGATE_GATEWAY_SILENT',
    durationField(1_500, 600_000),
    '5s',
    'A gateway whose heartbeat has not changed for this long is unknown, and blocks drains by name.',
  ),
  drainTimeoutMs: option(
    'EBBGATE_DRAIN_TIMEOUT',
    durationField(1_000, 604_800_000),
    '10m',
    'Deadline of a drain that names none.',
  ),
  forgetMs: option(
    'EBBGATE_FORGET',
    durationField(1_000, 31_536_000_000),
    '30d',
    'How long the record of a service that is gone stays after the last thing that happened to it. One in which anything is decided stays.',
  ),
  tombstoneMs: option(
    'EBBGATE_TOMBSTONE',
    durationField(1_000, 604_800_000),
    '10m',
    'How long Redis keeps the tombstone of a service that is gone; and until every gateway has followed it, for a day at most.',
  ),
  clockBoundMs: option(
    'EBBGATE_CLOCK_BOUND',
    durationField(1_000, 3_600_000),
    '30s',
    'How far the wall clock of the controller may be from those of ZooKeeper and Redis. Further away, nothing expires.',
  ),
  hooks: option(
    'EBBGATE_HOOKS',
    prefixes,
    '',
    'What webhooks of releases may call, like https://ci.example/hooks. Empty: nothing.',
  ),
  prometheus: option(
    'EBBGATE_PROMETHEUS',
    prefix,
    '',
    'The Prometheus that gates of releases may ask, like http://prometheus:9090. Empty: none.',
  ),
  hookCommands: option(
    'EBBGATE_HOOK_COMMANDS',
    directory,
    '',
    'The directory of the commands that releases may run, on every host of a controller. Empty: none.',
  ),
  controllerId: option(
    'EBBGATE_CONTROLLER_ID',
    controllerId,
    'controller',
    "This controller's name, among the controllers and in its consumer entries. Each needs its own.",
  ),
  contractMost: option(
    'EBBGATE_CONTRACT_MOST',
    contract,
    String(NEWEST_CONTRACT),
    'The highest version of the set document (docs/contract/wire.md) that gateways are given. Lower it before gateways go back to an older release.',
  ),
  stateDir: option(
    'EBBGATE_STATE_DIR',
    stateDirectory,
    '',
    'Where the leader keeps a copy of what was decided, besides the one in Redis: a directory of this controller alone. Empty: nowhere.',
  ),
  logLevel: option(
    'EBBGATE_LOG_LEVEL',
    wordField('debug', 'info', 'warn', 'error'),
    'info',
    'Least severe level that is logged.',
  ),
} as const;

type Options = typeof OPTIONS;
/** The parsed configuration: durations in milliseconds, frozen. */
export type Config = {
  readonly [K in keyof Options]: Options[K]['kind'] extends Kind<infer T> ? T : never;
};

/** What is given for these is never repeated. */
const SECRETS: ReadonlySet<string> = new Set(['EBBGATE_TOKEN', 'EBBGATE_REDIS']);

/** Reads every option from `env`. A failure lists all that is wrong, a line each. */
export function parseConfig(
  env: Readonly<Record<string, string | undefined>>,
): Result<Config, readonly string[]> {
  const values: Record<string, unknown> = {};
  const errors: string[] = [];
  for (const [name, { env: variable, kind, fallback }] of Object.entries(OPTIONS)) {
    const given = own(env, variable);
    const parsed = kind.parse(given === undefined || given === '' ? fallback : given);
    if (parsed.ok) put(values, name, parsed.value);
    // An unset list option parses its empty default; a set one that is bad is named with what was given.
    else
      errors.push(
        `${variable}: ${parsed.error} (got "${SECRETS.has(variable) ? '…' : (given ?? fallback)}")`,
      );
  }
  if (errors.length > 0) return err(errors);
  const config = Object.freeze(values) as Config;
  const contradictions = [zooKeeperAccess(config), apiIdentity(config)].flatMap((one) =>
    one.ok ? [] : [one.error],
  );
  return contradictions.length === 0 ? ok(config) : err(contradictions);
}

/** What the variables of the certificate's files are called. */
export const API_TLS_NAMES = {
  cert: OPTIONS.apiTlsCert.env,
  key: OPTIONS.apiTlsKey.env,
  clientCa: OPTIONS.apiClientCa.env,
} as const;

/** The files that the API is served with; null = plain HTTP. */
export function apiTlsFiles(config: Config): ServerFiles | null {
  const { apiTlsCert: cert, apiTlsKey: key, apiClientCa: clientCa } = config;
  return cert === '' ? null : { cert, key, clientCa };
}

/** An error names the option that is missing, contradicts another one, or names what cannot be used. */
function apiIdentity(config: Config): Result<unknown, string> {
  const { apiTlsCert: cert, apiTlsKey: key, apiClientCa: clientCa, apiAdvertise } = config;
  const names = API_TLS_NAMES;
  if (cert === '' && key !== '') return err(`${names.cert}: is missing; ${names.key} needs its certificate`);
  if (cert !== '' && key === '') return err(`${names.key}: is missing; ${names.cert} needs its key`);
  if (cert === '')
    return clientCa === '' ? ok(null) : err(`${names.clientCa}: needs ${names.cert} and ${names.key}`);
  if (apiAdvertise.startsWith('http://'))
    return err(`${OPTIONS.apiAdvertise.env}: must be https://… with ${names.cert} (got "${apiAdvertise}")`);
  const identity = readServerIdentity({ cert, key, clientCa });
  return identity.ok ? identity : err(`${names[identity.error.of]}: ${identity.error.message}`);
}

/** The files by which the controller reaches ZooKeeper; an error names the options that contradict one another. */
export function zooKeeperAccess(config: Config): Result<AccessFiles, string> {
  const choice = {
    ...{ auth: config.zookeeperAuthFile, tls: config.zookeeperTls },
    ...{ ca: config.zookeeperTlsCa, cert: config.zookeeperTlsCert, key: config.zookeeperTlsKey },
  };
  return accessFilesOf(choice, {
    tls: 'EBBGATE_ZOOKEEPER_TLS=on',
    ca: OPTIONS.zookeeperTlsCa.env,
    cert: OPTIONS.zookeeperTlsCert.env,
    key: OPTIONS.zookeeperTlsKey.env,
  });
}
