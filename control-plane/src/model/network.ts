import { ipFamily } from './ip_literal.js';
import type { FormRule } from './shape.js';

/*
 * Networks of clients, as limits and routes name them. The gateway's own reader is lua/ebbgate/core/network.lua.
 */

/** A network as the bits that its addresses begin with, `0` and `1`, and how many bits an address has. */
export interface Network {
  readonly bits: string;
  readonly size: 32 | 128;
}

/** Reads 10.0.0.0/8, fd00::/8 or an address, which is a network of one; null of a text that is none. An IPv4 address within IPv6 is one of IPv4. */
export function parseNetwork(text: string): Network | null {
  if (!isNetwork(text)) return null;
  const [host = '', length] = text.split('/');
  const all = bitsOf(host);
  return {
    bits: length === undefined ? all : all.slice(0, Number(length)),
    size: all.length === 32 ? 32 : 128,
  };
}

/** True if an address (a network of one) is in one of the networks. */
export function isWithinNetworks(networks: readonly Network[], address: Network): boolean {
  const { bits, size } = plain(address);
  return networks.some((one) => one.size === size && bits.startsWith(one.bits));
}

/** True if two networks have an address in common. */
export function overlap(a: Network, b: Network): boolean {
  return a.size === b.size && (a.bits.startsWith(b.bits) || b.bits.startsWith(a.bits));
}

const MAPPED = `${'0'.repeat(80)}${'1'.repeat(16)}`;

/** What came over a socket of IPv6 from a client of IPv4 is from that. */
function plain(address: Network): Network {
  const isMapped = address.size === 128 && address.bits.startsWith(MAPPED);
  return isMapped ? { bits: address.bits.slice(96), size: 32 } : address;
}

function bitsOf(host: string): string {
  if (!host.includes(':'))
    return host
      .split('.')
      .map((part) => binary(Number(part), 8))
      .join('');
  const [left = '', right] = host.split('::');
  const [before, after] = [groupBits(left), groupBits(right ?? '')];
  return before + '0'.repeat(128 - before.length - after.length) + after;
}

function groupBits(side: string): string {
  if (side === '') return '';
  return side
    .split(':')
    .map((group) => (group.includes('.') ? bitsOf(group) : binary(Number.parseInt(group, 16), 16)))
    .join('');
}

function binary(value: number, length: number): string {
  return value.toString(2).padStart(length, '0');
}

/** True of a network like 10.0.0.0/8, and of an IP address, which is a network of one. */
export function isNetwork(text: string): boolean {
  const [host = '', bits, more] = text.split('/');
  const family = ipFamily(host);
  if (family === null || more !== undefined) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

/** A network, as a member of an object. */
export const NETWORK: FormRule = {
  kind: 'form',
  fits: isNetwork,
  hint: 'a network like 10.0.0.0/8 or fd00::/8, or an IP address',
  good: ['10.0.0.0/8', 'fd00::/8', '10.0.0.1', '::1', '0.0.0.0/0', '::/128'],
  bad: ['', '10.0.0.0/33', '10.0.0/8', '::/129', '10.0.0.1/', '/8', 'shop.internal', '10.0.0.0/8/8'],
};
