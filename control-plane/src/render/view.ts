import { parseDuration } from '../model/duration.js';
import { describeNode } from '../model/redis_url.js';
import { redisAuthorities } from './redis_field.js';
import { type Listen } from './field.js';
import { proxyLocationsOf, upstreamsOf } from './proxy_locations.js';
import { LOG_MEMBERS } from './log_members.js';
import type { GatewayOptions } from './options.js';

/** What the templates read: every value validated, every decision taken; a template only places and repeats. */
export interface View {
  readonly [name: string]: unknown;
}

/** `version` is the product's, for heartbeats. */
export function viewOf(options: GatewayOptions, version: string): View {
  const connections = options.worker_connections;
  return {
    ...options,
    version,
    ...redisView(options),
    debian: options.lua_module === 'debian',
    image: options.lua_module === 'image',
    state_dir: options.state_dir || `${options.run_dir}/state`,
    // Twice: a proxied request takes two; the rest is for logs, listeners and Redis.
    open_files: connections * 2 + 256,
    shutdown_timeout: options.worker_shutdown_timeout === 'off' ? '' : options.worker_shutdown_timeout,
    client_max_body: options.client_max_body === 'unlimited' ? '0' : options.client_max_body,
    client_send_ms: milliseconds(options.client_send_timeout),
    head_bytes: bytes(options.instance_header_buffer),
    limits_bytes: bytes(options.limits_memory),
    request_buffering: options.buffer_requests ? 'on' : 'off',
    response_buffering: options.buffer_responses ? 'on' : 'off',
    ignore_client_abort: options.ignore_client_abort ? 'on' : 'off',
    resolver: options.resolver.map((one) => (one.includes(':') ? `[${one}]` : one)).join(' '),
    access_log: options.access_log === 'off' ? '' : options.access_log || `${options.run_dir}/access.log`,
    error_log: options.error_log || `${options.run_dir}/error.log`,
    any_tls: options.listen.some(({ tls }) => tls !== null),
    servers: options.listen.map(serverView),
    redirect_https: options.redirect_https !== 'off',
    https_port: [443, 'off'].includes(options.redirect_https) ? '' : `:${String(options.redirect_https)}`,
    upstreams: upstreamsOf(options.upstream_tls),
    proxy_locations: proxyLocationsOf(options.upstream_tls),
    tls_profiles: options.upstream_tls.map(({ name }) => name).join(' '),
    admin: `${options.admin_listen.address}:${String(options.admin_listen.port)}`,
    admin_names:
      [...new Set([options.gateway_id.toLowerCase(), ...options.admin_hosts])].join(' ') + ' $hostname',
    trusted_proxies: [...new Set(options.trusted_proxies)],
    any_trusted: options.trusted_proxies.length > 0,
    // Two, because OpenResty must be asked to hand back a kept connection that broke; Lua keeps the limit.
    upstream_tries: Math.max(options.max_tries, 2),
    tries_patterns: triesPatterns(options.max_tries),
    log_lines: logLines(options),
    log_texts: openTexts(options),
    log_sources: openTexts(options)
      .map(({ source }) => `$${source}`)
      .join(''),
    log_text_names: openTexts(options)
      .map(({ variable, source }) => `${variable}=${source}`)
      .join(' '),
  };
}

/** The URL that Lua reads, and whom TLS believes. */
function redisView(options: GatewayOptions): View {
  const {
    redis,
    redis_host: host,
    redis_port: port,
    redis_username: user,
    redis_database: database,
  } = options;
  const login = user === '' ? '' : `${user}@`;
  const url = redis || `redis://${login}${describeNode({ host, port })}/${String(database)}`;
  return { redis_url: url, redis_ca: redisAuthorities([url, options.redis_replica])[0] ?? '' };
}

/** Of a duration that has passed. */
function milliseconds(text: string): number {
  const span = parseDuration(text);
  return span.ok ? span.value : 0;
}

/** Of a size that has passed. */
function bytes(size: string): number {
  const factor = { k: 1_024, m: 1_048_576, g: 1_073_741_824 }[size.slice(-1).toLowerCase()] ?? 1;
  return Number(size.slice(0, -1)) * factor;
}

function serverView(listen: Listen): View {
  const words = [`${listen.address}:${String(listen.port)}`];
  if (listen.tls !== null) words.push('ssl');
  if (listen.http2) words.push('http2');
  return { socket: words.join(' '), tls: listen.tls };
}

/** nginx separates the addresses of tries by commas and counts nothing itself. */
function triesPatterns(max: number): View[] {
  return Array.from({ length: max }, (_, index) => ({
    tries: index + 1,
    pattern: `^[^,]+${index === 0 ? '' : `(?:,[^,]+){${String(index)}}`}$`,
  }));
}

/** Which of nginx's variables fills which member, and what it has: a number in JSON, ASCII, or any bytes that a client sent. */
const LOG_VARIABLES: Readonly<
  Record<(typeof LOG_MEMBERS)[number], readonly [string, 'text' | 'number' | 'open']>
> = {
  time: ['time_iso8601', 'text'],
  request_id: ['request_id', 'text'],
  client: ['remote_addr', 'text'],
  method: ['request_method', 'text'],
  host: ['host', 'open'],
  path: ['uri', 'open'],
  protocol: ['server_protocol', 'text'],
  status: ['ebb_status', 'number'],
  service: ['ebb_service', 'text'],
  instances: ['ebb_instances', 'text'],
  version: ['ebb_version', 'text'],
  tries: ['ebb_tries', 'number'],
  upstream_status: ['upstream_status', 'text'],
  upstream_connect_time: ['upstream_connect_time', 'text'],
  upstream_header_time: ['upstream_header_time', 'text'],
  upstream_time: ['upstream_response_time', 'text'],
  request_time: ['request_time', 'number'],
  bytes_in: ['request_length', 'number'],
  bytes_out: ['bytes_sent', 'number'],
  trace_id: ['ebb_trace_id', 'text'],
  aborted_by: ['ebb_aborted_by', 'text'],
  limited_by: ['ebb_limited_by', 'text'],
  route: ['ebb_route', 'text'],
  consumer: ['ebb_consumer', 'text'],
  key_id: ['ebb_key_id', 'text'],
};

function logMembers(options: GatewayOptions): (readonly [string, string, 'text' | 'number' | 'open'])[] {
  return [
    ...LOG_MEMBERS.map((name) => [name, ...LOG_VARIABLES[name]] as const),
    ...options.log_fields.map(({ name, variable }) => [name, variable, 'open'] as const),
  ];
}

/** Variables that are in the log for those which may contain any bytes: Lua replaces what is no UTF-8 (phase/http/log_text.lua). */
function openTexts(options: GatewayOptions): { variable: string; source: string }[] {
  return logMembers(options)
    .filter(([, , kind]) => kind === 'open')
    .map(([name, source]) => ({ variable: `ebb_log_${name}`, source }));
}

function logLines(options: GatewayOptions): string[] {
  const members = logMembers(options);
  return members.map(([name, given, kind], index) => {
    const variable = kind === 'open' ? `ebb_log_${name}` : given;
    const value = kind === 'number' ? `$${variable}` : `"$${variable}"`;
    return `${index === 0 ? '{' : ','}"${name}":${value}${index === members.length - 1 ? '}' : ''}`;
  });
}
