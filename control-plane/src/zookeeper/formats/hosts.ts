import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { err, ok, type Result } from '../../model/result.js';

/** Where instances may live. Made by `parseNetworks`. */
export interface AllowedNetworks {
  /** Empty = the default: everything but `NEVER_BY_DEFAULT`. */
  readonly cidrs: readonly (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[];
  /** As configured, for messages. */
  readonly names: readonly string[];
}

/** Ranges through which a registrant could aim a gateway at itself, at its neighbours' metadata, or at nobody. */
const NEVER_BY_DEFAULT: ReadonlySet<string> = new Set([
  'loopback',
  'linkLocal',
  'multicast',
  'broadcast',
  'unspecified',
]);

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
  const range = [address, ...carriedAddress(address)]
    .map((one) => one.range())
    .find((one) => NEVER_BY_DEFAULT.has(one));
  if (range === undefined) return ok(spelled);
  const name = range === 'linkLocal' ? 'link-local' : range;
  return err(`host ${spelled} is ${name}; to use it, name its network among the allowed ones`);
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
