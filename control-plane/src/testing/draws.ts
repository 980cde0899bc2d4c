/**
 * How many random histories a property is tried on: `usual` in `npm test`, `long` in `npm run test:long`, and the part of `usual`
 * that EBBGATE_DRAWS names elsewhere: `npm run check` draws a tenth. At least 20.
 */
export function draws(usual: number, long = usual): number {
  if (process.env['EBBGATE_LONG'] !== undefined) return long;
  const part = Number(process.env['EBBGATE_DRAWS'] ?? '1');
  return Math.max(20, Math.round(usual * part));
}
