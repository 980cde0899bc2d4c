import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { err, ok, type Result } from '../model/result.js';

/** Where instances may live. Made by `parseNetworks`. */
export interface AllowedNetworks {
  /** Empty = the default: everything but special-purpose addresses. Private ones are no such. */
  readonly cidrs: readonly (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[];
  /** As configured, for messages. */
  readonly names: readonly string[];
}

/**
 * Ranges of ipaddr.js through which a registrant could aim a gateway at itself, at its neighbours' metadata, or at nobody, and
 * how a message calls them. By the registries of special-purpose addresses at IANA (RFC 6890), as ipaddr.js has them.
 */
const NEVER_BY_DEFAULT: Readonly<Record<string, string>> = {
  loopback: 'loopback',
  linkLocal: 'link-local',
  multicast: 'multicast',
  broadcast: 'broadcast',
  unspecified: 'unspecified',
  reserved: 'reserved',
  benchmarking: 'for benchmarks (RFC 2544, RFC 5180)',
  amt: 'for multicast tunnels (RFC 7450)',
  as112: 'of the AS112 project (RFC 7535)',
  as112v6: 'of the AS112 project (RFC 7534)',
  deprecated: 'deprecated (RFC 3879)',
  discard: 'for discarding (RFC 6666)',
  orchid2: 'an identifier, not an address (RFC 7343)',
  droneRemoteIdProtocolEntityTags: 'an identifier, not an address (RFC 9374)',
  teredo: 'a Teredo tunnel (RFC 4380)',
};

/** Single addresses and ranges that those do not name: cloud metadata that is not link-local, and the rest of the registries. */
const NEVER_BY_NETWORK: readonly (readonly [readonly [ipaddr.IPv4 | ipaddr.IPv6, number], string])[] = (
  [
    ['100.100.100.200/32', 'a metadata service'],
    ['168.63.129.16/32', 'a metadata service'],
    ['fd00:ec2::/64', 'a metadata service'],
    ['fd20:ce::254/128', 'a metadata service'],
    ['0.0.0.0/8', 'unspecified'],
    ['192.0.0.0/24', 'reserved for protocols, metadata services among them (RFC 6890)'],
    ['192.0.2.0/24', 'for documentation (RFC 5737)'],
    ['198.51.100.0/24', 'for documentation (RFC 5737)'],
    ['203.0.113.0/24', 'for documentation (RFC 5737)'],
    ['192.88.99.0/24', 'a deprecated 6to4 relay (RFC 7526)'],
    ['198.18.0.0/15', 'for benchmarks (RFC 2544)'],
    ['240.0.0.0/4', 'reserved'],
    ['2001:db8::/32', 'for documentation (RFC 3849)'],
    ['3fff::/20', 'for documentation (RFC 9637)'],
    ['5f00::/16', 'for segment routing (RFC 9602)'],
    ['fec0::/10', 'deprecated (RFC 3879)'],
  ] as const
).map(([cidr, why]) => [ipaddr.parseCIDR(cidr), why]);

/** Reads CIDRs like `10.0.0.0/8` or `fd00::/8`; none = the default networks. An error names the bad one. */
export function parseNetworks(cidrs: readonly string[]): Result<AllowedNetworks, string> {
  const parsed: (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[] = [];
  for (const cidr of cidrs) {
    const [address = '', bits = ''] = cidr.split('/');
    if (isIP(address) === 0 || address.includes('%') || !/^\d{1,3}$/.test(bits) || !ipaddr.isValidCIDR(cidr))
      return err(`"${cidr}" must be a network like 10.0.0.0/8 or fd00::/8`);
    parsed.push(ipaddr.parseCIDR(cidr));
  }
  return ok({ cidrs: parsed, names: cidrs });
}

/**
 * Checks that `host` is an IP literal inside `allowed` and returns its one spelling: IPv6 compressed in lower case,
 * IPv4 in IPv6 as IPv4, so that no address passes in disguise and equal addresses are equal strings.
 */
export function checkHost(host: unknown, allowed: AllowedNetworks): Result<string, string> {
  const address = parseHost(host);
  if (address === undefined)
    return err('host must be an IP address, like 10.0.1.7 or fd00::7; names are not resolved');
  const spelled = address.toString();
  if (allowed.cidrs.length > 0) {
    const inside = allowed.cidrs.some(
      ([network, bits]) => address.kind() === network.kind() && address.match(network, bits),
    );
    return inside
      ? ok(spelled)
      : err(`host ${spelled} is outside the allowed networks ${allowed.names.join(', ')}`);
  }
  for (const one of [address, ...carriedAddress(address)]) {
    const why = reservedFor(one);
    if (why === undefined) continue;
    return err(`host ${spelled} is ${why}; to use it, name its network among the allowed ones`);
  }
  return ok(spelled);
}

/** What an address is kept for, if no instance should be there; undefined else. */
function reservedFor(address: ipaddr.IPv4 | ipaddr.IPv6): string | undefined {
  const range = address.range();
  if (range === 'broadcast') return range;
  const [, why] =
    NEVER_BY_NETWORK.find(
      ([[network, bits]]) => network.kind() === address.kind() && address.match(network, bits),
    ) ?? [];
  return why ?? (Object.hasOwn(NEVER_BY_DEFAULT, range) ? NEVER_BY_DEFAULT[range] : undefined);
}

/** The address of a literal; IPv4-mapped IPv6 comes out as IPv4. Undefined for anything else. */
function parseHost(host: unknown): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (typeof host !== 'string' || isIP(host) === 0 || host.includes('%')) return undefined;
  // The parser takes ::1.2.3.4 for ::ffff:1.2.3.4, which is another address.
  if (host.includes(':') && host.includes('.') && !/:ffff:[\d.]+$/i.test(host)) return undefined;
  const address = ipaddr.parse(host);
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

/** The IPv4 address that a translating IPv6 one (NAT64, 6to4, IPv4-compatible) leads to. */
function carriedAddress(address: ipaddr.IPv4 | ipaddr.IPv6): readonly ipaddr.IPv4[] {
  if (!(address instanceof ipaddr.IPv6)) return [];
  const bytes = address.toByteArray();
  const range = address.range();
  if (range === '6to4') return [new ipaddr.IPv4(bytes.slice(2, 6))];
  const compatible = range === 'unicast' && bytes.slice(0, 12).every((byte) => byte === 0);
  return compatible || range === 'rfc6052' || range === 'rfc6145' ? [new ipaddr.IPv4(bytes.slice(12))] : [];
}
