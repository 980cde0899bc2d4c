import type { ConsumerRecord } from '../model/api_consumer.js';
import { withoutUndo, type AuditRecord } from '../model/audit.js';
import type { GlobalFreeze } from '../model/freeze_ports.js';
import type { RosterEntry } from '../model/gateway.js';
import type { IntentRecord, ServiceEvent } from '../model/intent.js';
import { checkName, type NameKind } from '../model/names.js';
import type { ReleaseRecord } from '../model/release.js';
import { err, ok, type Result } from '../model/result.js';
import type { TokenRecord } from '../model/token.js';
import type { CopyRecord, RecordCodec, SkippedRecord } from '../model/truth_copy.js';
import { parseConsumerRecord } from './api_consumers.js';
import { encodeAuditRecord, parseAuditRecord } from './audit_record.js';
import { parseFreezeRecord } from './freezes.js';
import { encodeHistory, parseHistory } from './histories.js';
import { encodeIntentRecord, parseIntentRecord } from './intent_record.js';
import { encodeReleaseRecord, parseReleaseRecord } from './release_record.js';
import { parseRosterEntry } from './roster.js';
import { parseTokenRecord } from './tokens.js';

/** Numbers of the audit have ten digits: whoever writes a copy must not use them up. */
const MOST_NUMBER = 1_000_000_000;

/** The records of a copy have the bytes that they have in ZooKeeper, and the names of their places there. */
export function createRecordCodec(): RecordCodec {
  const encoded = new WeakMap<object, string>();
  const once = (from: object, encode: () => string): string => {
    const known = encoded.get(from);
    if (known !== undefined) return known;
    const text = encode();
    encoded.set(from, text);
    return text;
  };
  return {
    encode: ({ intents, histories, roster, releases, ended, freeze, tokens, consumers }) => {
      const records: CopyRecord[] = [
        ...[...intents].map(([service, one]) => ({
          record: `intents/${service}`,
          value: once(one, () => encodeIntentRecord(one).toString('utf8')),
        })),
        ...[...histories].map(([service, events]) => ({
          record: `histories/${service}`,
          value: once(events, () => encodeHistory(events).toString('utf8')),
        })),
        ...[...roster].map(([id, { id: _id, ...entry }]) => ({
          record: `roster/${id}`,
          value: JSON.stringify(entry),
        })),
        ...[...releases].map(([service, one]) => ({
          record: `releases/${service}/current`,
          value: once(one, () => encodeReleaseRecord(one).toString('utf8')),
        })),
        ...ended.map((one) => ({
          record: `releases/${one.service}/history/${String(one.n)}`,
          value: once(one, () => encodeReleaseRecord(one).toString('utf8')),
        })),
        ...[...(tokens ?? [])].map(([name, one]) => ({
          record: `tokens/${name}`,
          value: JSON.stringify(one),
        })),
        ...[...(consumers ?? [])].map(([name, one]) => ({
          record: `consumers/${name}`,
          value: once(one, () => JSON.stringify(one)),
        })),
        ...(freeze === null ? [] : [{ record: 'freezes/freeze', value: JSON.stringify(freeze) }]),
      ];
      return records.sort((a, b) => (a.record < b.record ? -1 : 1));
    },
    decode,
    encodeAudit: (record) => ({ n: record.n, text: encodeAuditRecord(withoutUndo(record)).toString('utf8') }),
  };
}

const decode: RecordCodec['decode'] = ({ records: given, tokens: hasTokens, audit }) => {
  const intents = new Map<string, IntentRecord>();
  const histories = new Map<string, readonly ServiceEvent[]>();
  const roster = new Map<string, RosterEntry>();
  const releases = new Map<string, ReleaseRecord>();
  const ended: ReleaseRecord[] = [];
  let freeze: GlobalFreeze | null = null;
  const tokens = new Map<string, TokenRecord>();
  const consumers = new Map<string, ConsumerRecord>();
  const skipped: SkippedRecord[] = [];
  for (const { record, value } of given) {
    const [noun = '', name = '', place, n] = record.split('/');
    const data = Buffer.from(JSON.stringify(value), 'utf8');
    const take = <T>(kind: NameKind, parsed: Result<T, string>, into: (read: T) => void): void => {
      const named = checkName(kind, name);
      if (!named.ok) skipped.push({ record, reason: named.error.message });
      else if (!parsed.ok) skipped.push({ record, reason: parsed.error });
      else into(parsed.value);
    };
    switch (noun) {
      case 'intents':
        take('service', parseIntentRecord(data), (read) => intents.set(name, read));
        break;
      case 'histories':
        take('service', parseHistory(data), (read) => histories.set(name, read));
        break;
      case 'roster':
        take('gateway', parseRosterEntry(name, data), (read) => roster.set(name, read));
        break;
      case 'releases':
        take('service', releaseOf(name, data), (read) => {
          if (place === 'current') releases.set(name, read);
          else if (place === 'history' && n === String(read.n)) ended.push(read);
          else skipped.push({ record, reason: 'it is at no place of a release' });
        });
        break;
      case 'freezes':
        take('service', parseFreezeRecord(data), (read) => (freeze = read));
        break;
      case 'tokens':
        take('token', parseTokenRecord(name, data), (read) => tokens.set(name, read));
        break;
      case 'consumers':
        take('consumer', parseConsumerRecord(name, data), (read) => consumers.set(name, read));
        break;
      default:
        skipped.push({ record, reason: 'this release knows no such store' });
    }
  }
  ended.sort((a, b) => a.n - b.n);
  const read = readAudit(audit);
  return {
    records: {
      ...{ intents, histories, roster, releases, ended, freeze, tokens: hasTokens ? tokens : null },
      consumers: given.some(({ record }) => record.startsWith('consumers/')) ? consumers : null,
    },
    audit: read.records,
    skipped: [...skipped, ...read.skipped],
  };
};

/** Many that cannot be read are one line. */
function readAudit(given: readonly unknown[]): {
  readonly records: readonly AuditRecord[];
  readonly skipped: readonly SkippedRecord[];
} {
  const read = given.map((value) => {
    const parsed = parseAuditRecord(Buffer.from(JSON.stringify(value), 'utf8'));
    return parsed.ok && parsed.value.n > MOST_NUMBER
      ? err(`n: ${String(parsed.value.n)} is too large`)
      : parsed;
  });
  const byNumber = new Map(
    read.flatMap((one) => (one.ok ? [[one.value.n, withoutUndo(one.value)] as const] : [])),
  );
  const records = [...byNumber.values()].sort((a, b) => a.n - b.n);
  const faults = read.flatMap((one) => (one.ok ? [] : [one.error]));
  const [first] = faults;
  if (first === undefined) return { records, skipped: [] };
  return {
    records,
    skipped: [{ record: 'audit', reason: `${String(faults.length)} records, the first: ${first}` }],
  };
}

function releaseOf(service: string, data: Buffer): Result<ReleaseRecord, string> {
  const parsed = parseReleaseRecord(data);
  if (parsed.ok && parsed.value.service !== service)
    return err(`service: it is that of ${parsed.value.service}`);
  return parsed.ok ? ok(parsed.value) : parsed;
}
