import { own } from '../../model/dictionary.js';
import { addressId, checkName, type NameKind } from '../../model/names.js';
import type { Registration, RegistryProblem } from '../../model/registration.js';
import type { Place, ProviderNode, RegistrationFormat } from '../../model/registry_format.js';
import { err, ok, type Result } from '../../model/result.js';
import { unfitCharacter } from '../../model/texts.js';
import { checkHost, type AllowedNetworks } from '../networks.js';

/** A provider node's data may be this long. */
export const MAX_PROVIDER_BYTES = 64 * 1024;
export const MAX_WEIGHT = 10_000;
const DEFAULT_WEIGHT = 100;
const MAX_LABELS = 64;
const MAX_LABEL_CHARACTERS = 256;
const LABEL_NAME = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;

/** What other users of such a tree have beside the providers. */
const FOLDERS: ReadonlySet<string> = new Set(['consumers', 'routers', 'configurators']);

/** The format of this project: `<root>/<service>/providers/<node>` with a JSON object (docs/reference/registration.md). */
export function jsonFormat(allowed: AllowedNetworks): RegistrationFormat {
  return { name: 'json', place, looksLikeInstance, parse: (node) => parse(node, allowed) };
}

function place(names: readonly string[]): Place {
  const [service, folder] = names;
  if (service === undefined) return { kind: 'list' };
  if (names.length === 1) return { kind: 'list', service };
  if (folder !== 'providers')
    return FOLDERS.has(folder ?? '') || names.length > 2 ? { kind: 'ignore' } : { kind: 'stray', service };
  if (names.length === 2) return { kind: 'list' };
  return names.length === 3 ? { kind: 'instance', service } : { kind: 'ignore' };
}

function looksLikeInstance(data: Uint8Array): boolean {
  const raw = parseObject(data);
  return raw.ok && (isText(raw.value.host) || isText(raw.value.address)) && 'port' in raw.value;
}

function parse(node: ProviderNode, allowed: AllowedNetworks): Result<Registration, RegistryProblem> {
  const fields = parseFields(node.data, allowed);
  if (!fields.ok) return err({ service: node.service, path: node.path, ...fields.error });
  const { service, persistent, path, incarnation } = node;
  return ok({ service, ...fields.value, persistent, path, incarnation });
}

type Fields = Omit<Registration, 'service' | 'persistent' | 'path' | 'incarnation'>;
type Flaw = Pick<RegistryProblem, 'code' | 'field' | 'message'>;
type Raw = Readonly<Record<string, unknown>>;

function parseFields(data: Uint8Array, allowed: AllowedNetworks): Result<Fields, Flaw> {
  const raw = parseObject(data);
  if (!raw.ok) return raw;
  const host = checkHost(raw.value.host, allowed);
  if (!host.ok) return flaw(isText(raw.value.host) ? 'forbidden_host' : 'bad_field', 'host', host.error);
  const port = wholeNumber(raw.value, 'port', 1, 65_535);
  if (!port.ok) return port;
  const id = name(raw.value, 'id', 'instance', addressId(host.value, port.value));
  if (!id.ok) return id;
  const version = name(raw.value, 'version', 'version', '');
  if (!version.ok) return version;
  const weight = wholeNumber(raw.value, 'weight', 0, MAX_WEIGHT, DEFAULT_WEIGHT);
  if (!weight.ok) return weight;
  const zone = name(raw.value, 'zone', 'zone', '');
  if (!zone.ok) return zone;
  const backup = flag(raw.value, 'backup', false);
  if (!backup.ok) return backup;
  const labels = parseLabels(raw.value.labels);
  if (!labels.ok) return labels;
  const ready = flag(raw.value, 'ready', true);
  if (!ready.ok) return ready;
  const leaving = flag(raw.value, 'leaving', false);
  if (!leaving.ok) return leaving;
  return ok({
    id: id.value,
    host: host.value,
    port: port.value,
    version: version.value,
    weight: weight.value,
    zone: zone.value,
    backup: backup.value,
    labels: labels.value,
    ready: ready.value,
    leaving: leaving.value,
  });
}

function parseObject(data: Uint8Array): Result<Raw, Flaw> {
  if (data.length > MAX_PROVIDER_BYTES)
    return flaw('too_large', '', `the node has ${data.length} bytes; at most ${MAX_PROVIDER_BYTES} are read`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  } catch {
    return flaw(
      'bad_json',
      '',
      'the node must contain a JSON object in UTF-8, like {"host":"10.0.1.7","port":8080}',
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return ok(value as Raw);
  return flaw('bad_json', '', 'the node must contain a JSON object, like {"host":"10.0.1.7","port":8080}');
}

/** Absent and null are the same: serialisers differ. */
function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function name(raw: Raw, field: string, kind: NameKind, absent: string): Result<string, Flaw> {
  const value = own(raw, field);
  if (isAbsent(value)) return ok(absent);
  if (value === '' && absent === '') return ok('');
  const checked = checkName(kind, value, field);
  return checked.ok ? checked : flaw('bad_field', field, checked.error.message);
}

function wholeNumber(
  raw: Raw,
  field: string,
  least: number,
  most: number,
  absent?: number,
): Result<number, Flaw> {
  const value = own(raw, field);
  if (isAbsent(value) && absent !== undefined) return ok(absent);
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most)
    return ok(value);
  return flaw('bad_field', field, `${field} must be a whole number from ${least} to ${most}`);
}

function flag(raw: Raw, field: string, absent: boolean): Result<boolean, Flaw> {
  const value = own(raw, field);
  if (isAbsent(value)) return ok(absent);
  return typeof value === 'boolean' ? ok(value) : flaw('bad_field', field, `${field} must be true or false`);
}

function parseLabels(value: unknown): Result<Readonly<Record<string, string>>, Flaw> {
  if (isAbsent(value)) return ok({});
  const field = 'labels';
  if (typeof value !== 'object' || Array.isArray(value))
    return flaw('bad_field', field, 'labels must be an object of strings, like {"team":"shop"}');
  const entries = Object.entries(value);
  if (entries.length > MAX_LABELS) return flaw('bad_field', field, `labels must be at most ${MAX_LABELS}`);
  for (const [key, text] of entries) {
    if (!LABEL_NAME.test(key))
      return flaw(
        'bad_field',
        field,
        'a label must be named by 1 to 63 of A-Z a-z 0-9 . _ / -, starting with a letter or digit',
      );
    if (typeof text !== 'string' || text.length > MAX_LABEL_CHARACTERS)
      return flaw(
        'bad_field',
        `labels.${key}`,
        `labels.${key} must be a string of at most ${MAX_LABEL_CHARACTERS} characters`,
      );
    const character = unfitCharacter(text);
    if (character !== null)
      return flaw(
        'bad_field',
        `labels.${key}`,
        `labels.${key} must be one line without control characters; it has ${character}`,
      );
  }
  return ok(Object.fromEntries(entries));
}

function flaw(code: Flaw['code'], field: string, message: string): Result<never, Flaw> {
  return err({ code, field, message });
}
