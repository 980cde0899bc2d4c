import type { RegistrationFormat, RegistryRoot } from '../model/registry_format.js';
import { err, ok, type Result } from '../model/result.js';
import { jsonFormat } from './formats/json.js';
import { parseNetworks, type AllowedNetworks } from './networks.js';

/** Every format that configuration can name. A new one is a file in formats/ and a line here. */
const FORMATS = { json: jsonFormat } as const satisfies Record<
  string,
  (allowed: AllowedNetworks) => RegistrationFormat
>;

/** The name of a format, as configuration has it. */
export type FormatName = keyof typeof FORMATS;

/** The format of a root that names none. */
export const DEFAULT_FORMAT: FormatName = 'json';

/** Finds a format's name. An error names those that there are. */
export function parseFormatName(text: string): Result<FormatName, string> {
  if (Object.hasOwn(FORMATS, text)) return ok(text as FormatName);
  return err(`there is no registry format "${text}"; it must be one of ${Object.keys(FORMATS).join(', ')}`);
}

/** A root as configuration names it. */
export interface NamedRoot {
  readonly path: string;
  readonly format: FormatName;
}

/** The roots with their formats, which refuse instances outside the CIDRs; none = the default networks. Throws if a CIDR is bad. */
export function registryRoots(
  roots: readonly NamedRoot[],
  allowedNetworks: readonly string[],
): readonly RegistryRoot[] {
  const allowed = parseNetworks(allowedNetworks);
  if (!allowed.ok) throw new TypeError(`allowed networks: ${allowed.error}`);
  return roots.map(({ path, format }) => ({ path, format: FORMATS[format](allowed.value) }));
}
