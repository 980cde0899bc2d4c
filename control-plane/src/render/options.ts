import type { z } from 'zod';
import {
  address,
  duration,
  flag,
  type Field,
  gatewayName,
  host,
  hostName,
  list,
  listen,
  logField,
  network,
  oneOf,
  or,
  osUser,
  path,
  plainListen,
  redisUser,
  size,
  tlsProfile,
  whole,
  zoneName,
} from './field.js';
import { redisUrl, replicaUrl } from './redis_field.js';

// Longer than other files: it is one table, a row per option.

/** One option of the gateway's configuration: the flag, what it takes, its default, its use. */
export interface GatewayOption<T = unknown> {
  readonly flag: string;
  /** What the flag takes, for the usage line; empty for a switch. */
  readonly value: string;
  readonly field: Field<T>;
  /** Undefined: must be given. Lists may be given more than once. */
  readonly default: string | number | boolean | readonly string[] | undefined;
  readonly doc: string;
}

function option<T>(
  name: string,
  field: Field<T>,
  fallback: GatewayOption['default'],
  doc: string,
): GatewayOption<T> {
  const [flagName = '', ...value] = name.split(' ');
  return { flag: flagName, value: value.join(' '), field, default: fallback, doc };
}

/** Every option of nginx.conf, in the order of the reference page. The one place where defaults are written. */
export const GATEWAY_OPTIONS = {
  gateway_id: option(
    '--gateway-id ID',
    gatewayName,
    undefined,
    'Name of this gateway; no two may share one.',
  ),
  zone: option(
    '--zone NAME',
    zoneName,
    '',
    'Where this gateway runs. Sets with prefer_zone use the instances of the same zone first. Empty: no preference.',
  ),
  listen: option(
    '--listen ADDRESS:PORT[,cert=FILE,key=FILE][,http2]',
    list(listen, 1),
    ['0.0.0.0:8080'],
    'Where traffic comes in. With cert and key it speaks TLS. http2 without them is HTTP/2 alone, for clients that begin with it (gRPC). May be repeated.',
  ),
  certificates: option(
    '--certificates DIR',
    or('', path),
    '',
    'Certificates by the name that clients ask for (SNI), on every listener with TLS: NAME.pem (or NAME.crt) beside NAME.key, or NAME/fullchain.pem with NAME/privkey.pem, for the DNS names that each is for. Workers must be able to read them; they look every 2 s, and a renewed one needs no reload. The one of the listener is for all other names. Empty: that one alone.',
  ),
  redirect_https: option(
    '--redirect-https PORT|off',
    or('off', whole(1, 65_535)),
    'off',
    'Listeners without TLS answer 308 to https on this port, but below /.well-known/acme-challenge/ and where a trusted proxy says that the client came by https.',
  ),
  admin_listen: option(
    '--admin-listen ADDRESS:PORT',
    plainListen,
    '127.0.0.1:8180',
    'Where /healthz, /readyz, /metrics and /sets answer, without authentication: keep it on loopback or a private network.',
  ),
  admin_hosts: option(
    '--admin-host NAME',
    list(hostName),
    [],
    'A name under which the admin listener answers, besides addresses, localhost, the name of the machine and that of the gateway; a request with another Host gets 403. May be repeated.',
  ),
  run_dir: option(
    '--run-dir DIR',
    path,
    '/var/lib/ebbgate',
    'Everything nginx writes lies below it: pid, logs, temporary files.',
  ),
  state_dir: option(
    '--state-dir DIR',
    or('', path),
    '',
    'Where the last good sets are kept for the next start. Default: state below the run directory.',
  ),
  start_from_disk: option(
    '--start-from-disk always|unless-left',
    oneOf('always', 'unless-left'),
    'unless-left',
    'Whether a gateway that starts while Redis is away serves from its disk. unless-left: not after it has left the roster, until Redis or the control API knows of it again, because drains are proven without it.',
  ),
  sticky_key_file: option(
    '--sticky-key-file FILE',
    or('', path),
    '',
    'Secrets for the cookies of sticky sessions, one a line, 32 to 128 characters, the same on every gateway: the first makes cookies, the others are still understood. Read at a start and a reload. Empty: whoever knows the address of an instance can guess its cookie.',
  ),
  lua_dir: option('--lua-dir DIR', path, '/usr/share/ebbgate/lua', "The directory of Ebbgate's Lua code."),
  lua_module: option(
    '--lua-module debian|builtin|image',
    oneOf('debian', 'builtin', 'image'),
    'debian',
    "debian loads the two shared modules of libnginx-mod-http-lua; builtin is for OpenResty; image leaves it to the gateway's image, which knows what it is made of.",
  ),
  module_dir: option('--module-dir DIR', path, '/usr/lib/nginx/modules', 'Where the shared modules lie.'),
  user: option(
    '--user NAME',
    osUser,
    '',
    'System user of the workers when nginx is started by root. Empty: the default of the nginx build.',
  ),
  workers: option(
    '--workers N',
    or('auto', whole(1, 512)),
    'auto',
    'Worker processes; auto is one per core.',
  ),
  worker_connections: option(
    '--worker-connections N',
    whole(64, 1_000_000),
    4096,
    'Connections per worker, both sides counted: a proxied request takes two.',
  ),
  worker_shutdown_timeout: option(
    '--worker-shutdown-timeout TIME',
    or('off', duration(1)),
    'off',
    'After a reload or a graceful stop, cut what is still open after this time. off never cuts a running request.',
  ),
  redis: option(
    '--redis URL',
    or('', redisUrl),
    '',
    'The Redis with the published sets, as EBBGATE_REDIS of the controller, but without passwords: redis://edge-1@host:port/0, redis+sentinel://edge-1@host,host/master?sentinel_user=NAME, redis+cluster://edge-1@host,host; rediss with ca=, server_name=, cert=, key= behind a ? for TLS. The passwords come from EBBGATE_REDIS_PASSWORD and EBBGATE_REDIS_SENTINEL_PASSWORD. Empty: what --redis-host, --redis-port, --redis-username and --redis-database say.',
  ),
  redis_replica: option(
    '--redis-replica URL',
    or('', replicaUrl),
    '',
    'A replica from which the sets are read, while everything is written to the Redis of --redis: redis://edge-1@host:port/0, or rediss, of one server; the password is that of EBBGATE_REDIS_PASSWORD. While it fails, or lacks for 2 s what the primary has, sets are read from the primary. Empty: always from the primary.',
  ),
  redis_host: option(
    '--redis-host HOST',
    host,
    '127.0.0.1',
    'The Redis with the published sets, if --redis is empty.',
  ),
  redis_port: option('--redis-port PORT', whole(1, 65_535), 6379, 'Its port.'),
  redis_username: option(
    '--redis-username NAME',
    redisUser,
    '',
    'ACL user; the password comes from EBBGATE_REDIS_PASSWORD.',
  ),
  redis_database: option('--redis-database N', whole(0, 1_023), 0, 'Database number; 0 on Redis Cluster.'),
  resolver: option(
    '--resolver ADDRESS',
    list(address),
    [],
    'DNS server, needed only if the Redis host is a name. May be repeated.',
  ),
  trusted_proxies: option(
    '--trusted-proxy NETWORK',
    list(network),
    [],
    'Peers whose X-Forwarded-* headers are believed. From anybody else they are overwritten. May be repeated.',
  ),
  client_header_timeout: option(
    '--client-header-timeout TIME',
    duration(100),
    '15s',
    'For the whole head of a request.',
  ),
  client_body_timeout: option(
    '--client-body-timeout TIME',
    duration(100),
    '30s',
    'Between two reads of a body.',
  ),
  client_send_timeout: option(
    '--client-send-timeout TIME',
    duration(100),
    '60s',
    'Between two writes to a client.',
  ),
  client_keepalive_timeout: option(
    '--client-keepalive-timeout TIME',
    duration(0),
    '75s',
    'How long an idle client connection stays open.',
  ),
  client_header_buffer: option(
    '--client-header-buffer SIZE',
    size(1),
    '16k',
    'The longest header line; a head may take four of them.',
  ),
  header_names: option(
    '--header-names plain|underscores|any',
    oneOf('plain', 'underscores', 'any'),
    'plain',
    'Which names of request headers go on to instances: letters, digits and hyphens; underscores too; or all that HTTP allows.',
  ),
  client_max_body: option(
    '--client-max-body SIZE|unlimited',
    or('unlimited', size(1)),
    'unlimited',
    'The largest request body. Bodies are streamed and never stored here, so a limit protects instances, not the gateway.',
  ),
  buffer_requests: option(
    '--buffer-requests',
    flag,
    false,
    'Read a request body to its end (memory, then disk) before an instance is chosen, so that a large PUT can be retried.',
  ),
  buffer_responses: option(
    '--buffer-responses',
    flag,
    false,
    'Take up to 128 KiB of an answer (eight times --instance-header-buffer) faster than the client reads, so that a slow client frees the instance sooner.',
  ),
  ignore_client_abort: option(
    '--ignore-client-abort',
    flag,
    false,
    'Go on with a request whose client has closed its side, so that a client that only half-closes gets its answer. A request that nobody waits for any more then runs to its end, too, and delays a drain so long. Not for gRPC.',
  ),
  proxy_connect_timeout: option(
    '--proxy-connect-timeout TIME',
    duration(1),
    '500ms',
    'To connect to an instance, for sets that do not say.',
  ),
  proxy_send_timeout: option(
    '--proxy-send-timeout TIME',
    duration(1),
    '60s',
    'Between two writes to an instance, for sets that do not say.',
  ),
  proxy_read_timeout: option(
    '--proxy-read-timeout TIME',
    duration(1),
    '60s',
    'Between two reads from an instance, for sets that do not say.',
  ),
  max_tries: option(
    '--max-tries N',
    whole(1, 5),
    5,
    'Upper bound of every set’s retry.tries, the first try included.',
  ),
  upstream_keepalive: option(
    '--upstream-keepalive N',
    whole(1, 65_535),
    64,
    'Idle connections to instances kept per worker, for each protocol and TLS profile.',
  ),
  upstream_keepalive_requests: option(
    '--upstream-keepalive-requests N',
    whole(1, 1_000_000_000),
    10_000,
    'After so many requests a connection to an instance is closed.',
  ),
  upstream_keepalive_timeout: option(
    '--upstream-keepalive-timeout TIME',
    duration(1),
    '4s',
    'How long one stays idle. Keep it below the idle timeout of the instances (Node.js: 5 s), or a POST may meet a closing connection.',
  ),
  upstream_tls: option(
    '--upstream-tls NAME,server_name=DNS[,ca=FILE][,cert=FILE,key=FILE]',
    list(tlsProfile),
    [],
    'How to reach instances over TLS, for sets whose upstream names it; the one called default is for sets that name none. Certificates are always verified: against ca (default: what the system believes), for server_name. cert and key are shown to instances that ask. May be repeated.',
  ),
  instance_header_buffer: option(
    '--instance-header-buffer SIZE',
    size(4, 1_024),
    '16k',
    "The longest head of an instance's answer: a longer one is a 502. Each running request takes so much memory.",
  ),
  access_log: option(
    '--access-log FILE|off',
    or('off', or('', path)),
    '',
    'JSON lines. Default: access.log below the run directory. /dev/stdout fits containers.',
  ),
  log_fields: option(
    '--log-field NAME=VARIABLE',
    list(logField),
    [],
    'One more member of each line, like user_agent=http_user_agent. May be repeated.',
  ),
  error_log: option(
    '--error-log FILE|stderr',
    or('stderr', or('', path)),
    '',
    'Default: error.log below the run directory.',
  ),
  error_log_level: option(
    '--error-log-level LEVEL',
    oneOf('debug', 'info', 'notice', 'warn', 'error', 'crit'),
    'notice',
    'From this severity on.',
  ),
  sets_memory: option('--sets-memory SIZE', size(64), '64m', 'Shared memory for the sets.'),
  inflight_memory: option(
    '--inflight-memory SIZE',
    size(64),
    '8m',
    'Shared memory for the counts of open requests.',
  ),
  metrics_memory: option('--metrics-memory SIZE', size(64), '16m', 'Shared memory for metrics.'),
  state_memory: option(
    '--state-memory SIZE',
    size(64),
    '1m',
    'Shared memory for positions, locks and worker leases.',
  ),
  health_memory: option(
    '--health-memory SIZE',
    size(64),
    '8m',
    'Shared memory for what is known of the health of instances; 1m is enough for 2,000 that are checked.',
  ),
  limits_memory: option(
    '--limits-memory SIZE',
    size(64),
    '32m',
    'Shared memory for the keys of limits; 32m is enough for 500,000 that are in use at once. It is taken as it is used; a change needs a restart, not a reload.',
  ),
} as const satisfies Record<string, GatewayOption>;

/** What the options are once they passed. */
export type GatewayOptions = {
  readonly [K in keyof typeof GATEWAY_OPTIONS]: z.output<(typeof GATEWAY_OPTIONS)[K]['field']>;
};

/** Options as given: text from flags or native values from code; what is absent takes its default. */
export type GivenOptions = { readonly [K in keyof typeof GATEWAY_OPTIONS]?: unknown };
