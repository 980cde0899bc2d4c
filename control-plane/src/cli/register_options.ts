import { put } from '../model/dictionary.js';
import ipaddr from 'ipaddr.js';
import type { ClientFiles } from '../disk/api_identity.js';
import { certificateFileField, keyFileField } from '../disk/pem_fields.js';
import { DEFAULT_API, parseApiAddresses } from '../model/api_addresses.js';
import {
  durationField,
  serversField,
  wholeField,
  wordField,
  znodePathField,
  type Field,
} from '../model/field.js';
import { addressId, checkName, type NameKind } from '../model/names.js';
import type { ProviderData } from '../model/ports.js';
import { err, ok, type Result } from '../model/result.js';
import { MAX_WEIGHT } from '../registry/formats/json.js';
import type { AccessFiles } from '../zookeeper/access.js';
import { accessFilesOf, aclField, credentialsFileField } from '../zookeeper/access_fields.js';
import type { AclEntry } from '../zookeeper/acl.js';
import { apiFiles, type ApiFileFlags } from './api_files.js';
import type { Environment } from './secret_files.js';

/** The flags of `ebbgate register` as the command line gives them: text, or absent. */
export interface RegisterFlags extends ApiFileFlags {
  readonly service?: string;
  readonly host?: string;
  readonly port?: string;
  readonly version?: string;
  readonly weight?: string;
  readonly id?: string;
  readonly zone?: string;
  readonly backup?: boolean;
  readonly label?: readonly string[];
  readonly readyHttp?: string;
  readonly readyInterval?: string;
  readonly drainTimeout?: string;
  readonly stopTimeout?: string;
  readonly session?: string;
  readonly zookeeper?: string;
  readonly zookeeperAuthFile?: string;
  readonly registrationAcl?: string;
  readonly zookeeperTls?: string;
  readonly zookeeperTlsCa?: string;
  readonly zookeeperTlsCert?: string;
  readonly zookeeperTlsKey?: string;
  readonly registryRoot?: string;
  readonly api?: string;
  readonly requireAccepted?: boolean;
}

/** The flags after validation. Durations are milliseconds. */
export interface RegisterOptions {
  readonly service: string;
  readonly data: ProviderData;
  /** The whole URL to probe. */
  readonly readyUrl: string | undefined;
  readonly readyEveryMs: number;
  readonly drainTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly sessionMs: number;
  readonly zookeeper: string;
  readonly access: AccessFiles;
  /** Who may do what with what is registered, besides the user of the credentials. */
  readonly registrationAcl: readonly AclEntry[];
  readonly registryRoot: string;
  /** The controllers, in the order in which they are asked. */
  readonly api: readonly string[];
  /** The files of TLS to them; null = none. */
  readonly apiFiles: ClientFiles | null;
  readonly requireAccepted: boolean;
}

/** Every flag checked, and in `env` what names files of the control API; a failure lists all that is wrong, each sentence starting with its flag. */
export function parseRegisterFlags(
  flags: RegisterFlags,
  env: Environment = {},
): Result<RegisterOptions, readonly string[]> {
  const errors: string[] = [];
  /** Keeps the sentence of a failure and goes on with a substitute that is never used. */
  const take = <T>(result: Result<T, string>, substitute: T): T => {
    if (result.ok) return result.value;
    errors.push(result.error);
    return substitute;
  };
  const duration = (flag: string, text: string | undefined, fallback: string, min: number, max: number) =>
    take(check(flag, text ?? fallback, durationField(min, max)), 0);
  const optionalName = (kind: NameKind, flag: string, text: string | undefined) =>
    text === undefined ? undefined : take(name(kind, flag, text), text);

  const service = take(name('service', '--service', flags.service), '');
  const host = take(checkHost(flags.host), '');
  const port = take(check('--port', flags.port, wholeField(1, 65_535)), 0);
  const version = optionalName('version', '--version', flags.version);
  const zone = optionalName('zone', '--zone', flags.zone);
  const id = optionalName('instance', '--id', flags.id) ?? addressId(host, port);
  const weight =
    flags.weight === undefined
      ? undefined
      : take(check('--weight', flags.weight, wholeField(0, MAX_WEIGHT)), 0);
  const labels = take(checkLabels(flags.label ?? []), undefined);
  const options: RegisterOptions = {
    service,
    data: {
      id,
      host,
      port,
      ...(version === undefined ? {} : { version }),
      ...(weight === undefined ? {} : { weight }),
      ...(zone === undefined ? {} : { zone }),
      ...(flags.backup === true ? { backup: true } : {}),
      ...(labels === undefined ? {} : { labels }),
    },
    readyUrl: take(checkReadyPath(flags.readyHttp, addressId(host, port)), undefined),
    readyEveryMs: duration('--ready-interval', flags.readyInterval, '1s', 50, 60_000),
    drainTimeoutMs: duration('--drain-timeout', flags.drainTimeout, '30s', 0, 86_400_000),
    stopTimeoutMs: duration('--stop-timeout', flags.stopTimeout, '10s', 0, 86_400_000),
    sessionMs: duration('--session', flags.session, '10s', 1_000, 60_000),
    zookeeper: take(checkServers(flags.zookeeper), ''),
    access: take(checkAccess(flags, take), NO_FILES),
    registrationAcl: take(
      check('--registration-acl', flags.registrationAcl || 'world:anyone:r', aclField),
      [],
    ),
    registryRoot: take(check('--registry-root', flags.registryRoot ?? '/services', znodePathField), ''),
    requireAccepted: flags.requireAccepted === true,
    api: take(checkApi(flags.api ?? DEFAULT_API), []),
    apiFiles: null,
  };
  const files = apiFiles(flags, env);
  if (!files.ok) errors.push(...files.error);
  return errors.length === 0 ? ok({ ...options, apiFiles: files.ok ? files.value : null }) : err(errors);
}

function name(kind: NameKind, flag: string, text: string | undefined): Result<string, string> {
  if (text === undefined) return err(`${flag} is missing`);
  const checked = checkName(kind, text, flag);
  return checked.ok ? checked : err(`${checked.error.message} (got "${text}")`);
}

function checkHost(text: string | undefined): Result<string, string> {
  if (text === undefined) return err('--host is missing');
  const literal = ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text);
  return literal
    ? ok(text)
    : err(`--host must be an IP address like 10.0.1.7, because gateways look up no names (got "${text}")`);
}

/** One flag by its kind; a failure begins with the flag and ends with what was given. */
function check<T>(flag: string, text: string | undefined, kind: Field<T>): Result<T, string> {
  if (text === undefined) return err(`${flag} is missing`);
  const parsed = kind.parse(text);
  return parsed.ok ? parsed : err(`${flag} ${parsed.error} (got "${text}")`);
}

function checkLabels(texts: readonly string[]): Result<Readonly<Record<string, string>> | undefined, string> {
  if (texts.length === 0) return ok(undefined);
  const labels: Record<string, string> = {};
  for (const text of texts) {
    const match = /^([A-Za-z0-9][A-Za-z0-9._/-]{0,62})=([\x20-\x7e]{0,255})$/.exec(text);
    if (!match?.[1]) return err(`--label must be KEY=VALUE, like --label team=checkout (got "${text}")`);
    put(labels, match[1], match[2] ?? '');
  }
  return ok(labels);
}

function checkReadyPath(text: string | undefined, address: string): Result<string | undefined, string> {
  if (text === undefined) return ok(undefined);
  return /^\/[\x21-\x7e]{0,2047}$/.test(text)
    ? ok(`http://${address}${text}`)
    : err(`--ready-http must be a path that starts with /, like /healthz (got "${text}")`);
}

function checkServers(text: string | undefined): Result<string, string> {
  if (text === undefined || text === '')
    return err('--zookeeper is missing: give host:port, or set EBBGATE_ZOOKEEPER');
  const servers = check('--zookeeper', text, serversField);
  return servers.ok ? ok(text) : servers;
}

const NO_FILES: AccessFiles = { auth: '', tls: null };

function checkAccess(
  flags: RegisterFlags,
  take: <T>(result: Result<T, string>, substitute: T) => T,
): Result<AccessFiles, string> {
  const file = (flag: string, text: string | undefined, kind: Field<string>): string =>
    take(check(flag, text ?? '', kind), '');
  const choice = {
    auth: file('--zookeeper-auth-file', flags.zookeeperAuthFile, credentialsFileField),
    tls: take(check('--zookeeper-tls', flags.zookeeperTls || 'off', wordField('off', 'on')), 'on'),
    ca: file('--zookeeper-tls-ca', flags.zookeeperTlsCa, certificateFileField),
    cert: file('--zookeeper-tls-cert', flags.zookeeperTlsCert, certificateFileField),
    key: file('--zookeeper-tls-key', flags.zookeeperTlsKey, keyFileField),
  };
  return accessFilesOf(choice, {
    tls: '--zookeeper-tls on',
    ca: '--zookeeper-tls-ca',
    cert: '--zookeeper-tls-cert',
    key: '--zookeeper-tls-key',
  });
}

function checkApi(text: string): Result<readonly string[], string> {
  const addresses = parseApiAddresses(text);
  return addresses.ok ? addresses : err(`--api ${addresses.error}`);
}
