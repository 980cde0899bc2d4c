/** The headers of the i-th client: a name and, through a proxy that is trusted, an address of its own. */
export function clientHeaders(i: number): Readonly<Record<string, string>> {
  return { 'x-user': `user-${i}`, 'x-forwarded-for': `10.7.${(i >> 8) & 255}.${i & 255}` };
}
