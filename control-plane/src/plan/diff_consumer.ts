import type { ApiKeyRecord, ConsumerRecord } from '../model/api_consumer.js';
import type { PlannedChange } from '../model/mutation.js';

/** What changes between two records of a consumer, line by line; null = there is none. Nothing of it shows a key, nor its hash. */
export function changesOfConsumer(
  name: string,
  before: ConsumerRecord | null,
  after: ConsumerRecord | null,
): readonly PlannedChange[] {
  const line = (field: string, from: string, to: string): readonly PlannedChange[] =>
    from === to ? [] : [{ service: '', instance: null, field: `consumer ${name}${field}`, from, to }];
  if (before === null || after === null)
    return [...line('', spell(before), spell(after)), ...keyLines(line, before, after)];
  return [
    ...line(' services', before.services.join(','), after.services.join(',')),
    ...line(' networks', before.networks.join(',') || 'any', after.networks.join(',') || 'any'),
    ...keyLines(line, before, after),
  ];
}

function keyLines(
  line: (field: string, from: string, to: string) => readonly PlannedChange[],
  before: ConsumerRecord | null,
  after: ConsumerRecord | null,
): readonly PlannedChange[] {
  const [was, is] = [before, after].map((one) => new Map(one?.keys.map((key) => [key.id, key])));
  const ids = new Set([...(was?.keys() ?? []), ...(is?.keys() ?? [])]);
  return [...ids].flatMap((id) => line(` key ${id}`, spellKey(was?.get(id)), spellKey(is?.get(id))));
}

function spell(record: ConsumerRecord | null): string {
  return record === null ? 'none' : `of ${record.services.join(',')}`;
}

function spellKey(key: ApiKeyRecord | undefined): string {
  if (key === undefined) return 'none';
  return key.expires === null ? 'valid' : `valid until ${key.expires}`;
}
