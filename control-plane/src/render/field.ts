import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import {
  durationField,
  mustBe,
  portField,
  textField,
  wholeField,
  wordField,
  type Field as TextField,
} from '../model/field.js';
import { checkName } from '../model/names.js';
import { err, ok, type Result } from '../model/result.js';

/*
 * What one value of an option may look like. Nothing here is escaped later: the templates take values as they are, so
 * a kind of value is safe only because its pattern lets no white space, quote, brace, semicolon, dollar, backslash or
 * control character through. Every failure says what would pass.
 */

/** A value with its way in from outside: text from a flag, or the native value from code. */
export type Field<T> = z.ZodType<T>;

/** A field that `read` reads; its failure is what the value must be. */
export function field<T>(read: (value: unknown) => Result<T, string>): Field<T> {
  return z.unknown().transform((value, context): T => {
    const result = read(value);
    if (result.ok) return result.value;
    context.addIssue({ code: 'custom', message: result.error });
    return z.NEVER;
  });
}

/** A kind of the model. What is no text is what no kind takes. */
function of<T>(kind: TextField<T>): Field<T> {
  return field((value) => kind.parse(asText(value)));
}
/** The value if it is text, else what no kind takes. */
export function asText(value: unknown): string {
  return typeof value === 'string' ? value : '\0';
}

function text(pattern: RegExp, hint: string): Field<string> {
  return of(textField('', pattern, hint));
}

/** A name by the rules of the model. */
export const gatewayName = field((value) => {
  const name = checkName('gateway', value, 'it');
  return name.ok ? name : err(name.error.message.replace(/^it /, ''));
});

/** Where something is, as in a registration; or nothing. */
export const zoneName = text(/^[A-Za-z0-9._-]{0,63}$/, 'must be up to 63 of A-Z a-z 0-9 . _ -');

/** A whole number from `min` to `max`, as a number or as digits. */
export function whole(min: number, max: number): Field<number> {
  const kind = wholeField(min, max);
  return field((value) => kind.parse(typeof value === 'number' ? String(value) : asText(value)));
}

/** A switch. */
export const flag = field((value) => (typeof value === 'boolean' ? ok(value) : err(mustBe.flag)));

/** One of a few words. */
export function oneOf<const T extends string>(...words: readonly T[]): Field<T> {
  return of(wordField(...words));
}

/** One word, or what `other` takes. */
export function or<const W extends string, T>(word: W, other: Field<T>): Field<W | T> {
  return field((value): Result<W | T, string> => {
    if (value === word) return ok(word);
    const parsed = other.safeParse(value);
    if (parsed.success) return ok(parsed.data);
    return err(
      `must be ${word === '' ? 'empty' : word}, or ${parsed.error.issues[0]?.message ?? 'valid'}`.replace(
        'or must be',
        'or',
      ),
    );
  });
}

const DAY_MS = 86_400_000;

/** A span of time in nginx's words, from `minMs` to one day. */
export function duration(minMs = 1): Field<string> {
  const kind = durationField(minMs, DAY_MS);
  return field((value) => {
    const span = kind.parse(asText(value));
    return span.ok ? ok(String(value)) : span;
  });
}

const UNIT_KIB = { k: 1, m: 1_024, g: 1_048_576 } as const;

/** An amount of memory in nginx's words, from `minKib` to `maxKib` KiB. */
export function size(minKib: number, maxKib = 64 * UNIT_KIB.g): Field<string> {
  const most = maxKib % UNIT_KIB.g === 0 ? `${String(maxKib / UNIT_KIB.g)}g` : `${String(maxKib)}k`;
  const hint = `must be a size like 16k, 8m or 1g, from ${String(minKib)}k to ${most}`;
  return field((value) => {
    const parts = typeof value === 'string' ? /^(\d{1,9})([kmg])$/i.exec(value) : null;
    if (parts === null) return err(hint);
    const kib = Number(parts[1]) * UNIT_KIB[parts[2]?.toLowerCase() as keyof typeof UNIT_KIB];
    return kib >= minKib && kib <= maxKib ? ok(parts[0]) : err(hint);
  });
}

const PATH = /^\/(?!.*\/\.\.?(\/|$))[A-Za-z0-9._/@+=,:-]{0,254}$/;
const PATH_HINT = 'must be an absolute path of A-Z a-z 0-9 . _ / @ + = , : - without . or .. as a part';

/** An absolute path. Spaces and the signs that nginx or a Lua path reads (`;`, `?`, `$` …) are refused. */
export const path = text(PATH, PATH_HINT);

/** A user of the operating system, or nothing. */
export const osUser = text(/^([a-z_][a-z0-9_-]{0,31})?$/, 'must be the name of a system user, or empty');

/** A user name of Redis, or nothing. */
export const redisUser = text(/^[A-Za-z0-9._-]{0,64}$/, 'must be up to 64 of A-Z a-z 0-9 . _ -');

/** An IP literal (IPv6 without brackets) or a DNS name. */
export const host = field((value) => {
  if (typeof value !== 'string') return err(HOST_HINT);
  if (isAddress(value)) return ok(value);
  const named = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_-]{1,63})*$/;
  return named.test(value) && !/^[\d.]+$/.test(value) ? ok(value) : err(HOST_HINT);
});
const HOST_HINT = 'must be an IP address or a DNS name';

/** True for an IPv4 address in four decimals and for an IPv6 address without zone. */
export function isAddress(value: string): boolean {
  if (ipaddr.IPv4.isValidFourPartDecimal(value)) return true;
  return /^[0-9a-fA-F:.]+$/.test(value) && ipaddr.IPv6.isValid(value);
}

/** An IP literal. */
export const address = field((value) =>
  typeof value === 'string' && isAddress(value) ? ok(value) : err('must be an IP address'),
);

/** A DNS name in lower case, for a server name of nginx. */
export const hostName = field((value) => {
  const name = String(value).toLowerCase();
  return /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(name)
    ? { ok: true, value: name }
    : { ok: false, error: 'must be a DNS name like gateway-1.internal' };
});

/** A network: an address, or an address and a prefix. Comes out in canonical form, host bits cleared. */
export const network = field((value) => {
  const hint = 'must be a network like 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32';
  if (typeof value !== 'string') return err(hint);
  const [literal = '', prefix, ...rest] = value.split('/');
  if (!isAddress(literal) || rest.length > 0) return err(hint);
  const bits = ipaddr.parse(literal).kind() === 'ipv4' ? 32 : 128;
  if (prefix === undefined) return ok(`${literal}/${String(bits)}`);
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) return err(hint);
  const cidr = `${literal}/${String(Number(prefix))}`;
  const base =
    bits === 32 ? ipaddr.IPv4.networkAddressFromCIDR(cidr) : ipaddr.IPv6.networkAddressFromCIDR(cidr);
  return ok(`${base.toString()}/${String(Number(prefix))}`);
});

/** An address to listen on. */
export interface Listen {
  /** As nginx writes it: IPv6 in brackets. */
  readonly address: string;
  readonly port: number;
  readonly tls: { readonly certificate: string; readonly key: string } | null;
  readonly http2: boolean;
}

const LISTEN_HINT = 'must be ADDRESS:PORT[,cert=FILE,key=FILE][,http2], IPv6 in brackets';

/** `127.0.0.1:8080`, `[::]:8443,cert=/a.pem,key=/a.key,http2`. */
export const listen = field((value): Result<Listen, string> => {
  if (typeof value !== 'string') return err(LISTEN_HINT);
  const [socket = '', ...rest] = value.split(',');
  const parts = /^(?:\[([^[\]]+)\]|([0-9.]+)):(\d{1,5})$/.exec(socket);
  const literal = parts?.[1] ?? parts?.[2] ?? '';
  const port = Number(parts?.[3] ?? 0);
  if (!isAddress(literal) || (parts?.[1] !== undefined) !== literal.includes(':')) return err(LISTEN_HINT);
  if (!portField.parse(String(port)).ok) return err('needs a port from 1 to 65535');
  const members = new Map(rest.map((part): [string, string] => splitOnce(part)));
  const unknown = [...members.keys()].find((name) => !['cert', 'key', 'http2'].includes(name));
  if (unknown !== undefined || members.size !== rest.length) return err(LISTEN_HINT);
  const certificate = members.get('cert');
  const key = members.get('key');
  if ((certificate === undefined) !== (key === undefined)) return err('needs both cert= and key= for TLS');
  if (members.has('http2') && members.get('http2') !== '') return err('http2 takes no value');
  const tls = certificate === undefined || key === undefined ? null : { certificate, key };
  if (tls !== null && !(PATH.test(tls.certificate) && PATH.test(tls.key)))
    return err(`cert= and key= ${PATH_HINT}`);
  const shown = literal.includes(':') ? `[${literal}]` : literal;
  return ok({ address: shown, port, tls, http2: members.has('http2') });
});

/** An address to listen on, without TLS. */
export const plainListen = field((value): Result<Listen, string> => {
  if (typeof value === 'string' && value.includes(','))
    return err('takes no TLS: it must be ADDRESS:PORT and no more');
  const parsed = listen.safeParse(value);
  if (parsed.success) return ok(parsed.data);
  const message = parsed.error.issues[0]?.message ?? LISTEN_HINT;
  return err(message === LISTEN_HINT ? PLAIN_LISTEN_HINT : message);
});
const PLAIN_LISTEN_HINT = 'must be ADDRESS:PORT, IPv6 in brackets';

function splitOnce(part: string): [string, string] {
  const at = part.indexOf('=');
  return at < 0 ? [part, ''] : [part.slice(0, at), part.slice(at + 1)];
}

/** How this gateway reaches instances over TLS, under the name that sets use (`upstream.tls`). */
export interface TlsProfile {
  readonly name: string;
  /** What the instance's certificate must be for, sent as SNI too. */
  readonly serverName: string;
  /** Certificates of the authorities that are believed. */
  readonly ca: string;
  /** What this gateway shows of itself, if instances ask. */
  readonly client: { readonly certificate: string; readonly key: string } | null;
}

/** Where Debian, Ubuntu and Alpine keep the authorities that the system believes. */
export const SYSTEM_CA = '/etc/ssl/certs/ca-certificates.crt';

const PROFILE_HINT =
  'must be NAME,server_name=DNS[,ca=FILE][,cert=FILE,key=FILE], NAME of 1 to 32 of a-z 0-9 _';

/** `internal,server_name=orders.internal,ca=/etc/ebbgate/ca.pem`. */
export const tlsProfile = field((value): Result<TlsProfile, string> => {
  if (typeof value !== 'string') return err(PROFILE_HINT);
  const [name = '', ...rest] = value.split(',');
  const members = new Map(rest.map((part): [string, string] => splitOnce(part)));
  const unknown = [...members.keys()].find((key) => !['server_name', 'ca', 'cert', 'key'].includes(key));
  if (!/^[a-z0-9_]{1,32}$/.test(name) || unknown !== undefined || members.size !== rest.length)
    return err(PROFILE_HINT);
  const serverName = members.get('server_name') ?? '';
  if (!host.safeParse(serverName).success || isAddress(serverName))
    return err('needs server_name=, the DNS name that the certificates of the instances are for');
  const [certificate, key] = [members.get('cert'), members.get('key')];
  if ((certificate === undefined) !== (key === undefined))
    return err('needs both cert= and key=, or neither');
  const ca = members.get('ca') ?? SYSTEM_CA;
  const client = certificate === undefined || key === undefined ? null : { certificate, key };
  for (const file of [ca, ...(client === null ? [] : [client.certificate, client.key])])
    if (!PATH.test(file)) return err(`ca=, cert= and key= ${PATH_HINT}`);
  return ok({ name, serverName, ca, client });
});

/** One more member of the access log. */
export interface LogField {
  readonly name: string;
  readonly variable: string;
}

const VARIABLE =
  /^(?:(?:sent_|upstream_)?http_[a-z0-9_]{1,60}|(?:arg|cookie)_[a-z0-9_]{1,60}|ssl_(?:protocol|cipher|server_name)|server_(?:port|addr|protocol)|remote_port|realip_remote_addr|connection(?:_requests)?|request_length|http2|scheme)$/;

/** `user_agent=http_user_agent`: a name in the log and one of nginx's variables. */
export const logField = field((value): Result<LogField, string> => {
  const [name, variable] = typeof value === 'string' ? splitOnce(value) : ['', ''];
  if (/^[a-z][a-z0-9_]{0,39}$/.test(name) && VARIABLE.test(variable)) return ok({ name, variable });
  return err(
    'must be NAME=VARIABLE, NAME of a-z 0-9 _, VARIABLE like http_user_agent, sent_http_etag, upstream_http_x, arg_q, ssl_protocol',
  );
});

/** Any number of values of one kind, without repeats. */
export function list<T>(item: Field<T>, min = 0): Field<readonly T[]> {
  return z.unknown().transform((value, context): readonly T[] => {
    if (!Array.isArray(value) || value.length < min || value.length > 256) {
      context.addIssue({ code: 'custom', message: `needs ${String(min)} to 256 values` });
      return z.NEVER;
    }
    const values: T[] = [];
    for (const one of new Set<unknown>(value)) {
      const parsed = item.safeParse(one);
      if (parsed.success) values.push(parsed.data);
      else context.addIssue({ code: 'custom', message: parsed.error.issues[0]?.message ?? 'is not valid' });
    }
    return values;
  });
}
