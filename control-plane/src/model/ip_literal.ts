/** 4 or 6 for an IPv4 or IPv6 literal without brackets or zone, else null: what `lua/ebbgate/core/address.lua` says too. */
export function ipFamily(host: string): 4 | 6 | null {
  if (host.length > 45) return null;
  if (isIpv4(host)) return 4;
  return isIpv6(host) ? 6 : null;
}

function isIpv4(host: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(host);
}

function isIpv6(host: string): boolean {
  if (!/^[0-9A-Fa-f:.]+$/.test(host) || host.includes(':::')) return false;
  const [left = '', right, more] = host.split('::');
  if (more !== undefined) return false;
  if (right === undefined) return groups(left, true) === 8;
  const [before, after] = [groups(left, false), groups(right, true)];
  return before !== null && after !== null && before + after <= 7;
}

/** How many groups one side of the literal has; null if one of them is none. The last of all may be an IPv4 literal, which is two. */
function groups(side: string, last: boolean): number | null {
  if (side === '') return 0;
  const parts = side.split(':');
  let count = 0;
  for (const [index, part] of parts.entries()) {
    if (/^[0-9A-Fa-f]{1,4}$/.test(part)) count += 1;
    else if (last && index === parts.length - 1 && isIpv4(part)) count += 2;
    else return null;
  }
  return count;
}
