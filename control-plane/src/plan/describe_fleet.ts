import { understoodBy } from './choose_contract.js';
import { dueOf } from './clock.js';
import { OLDEST_FLEET as OLDEST } from '../model/contract.js';
import type { FreezeResource } from '../model/freeze.js';
import type { GatewayProblem } from '../model/gateway.js';
import type { Decided, IntentRecord, OperationRecord, OperationResult } from '../model/intent.js';
import type {
  ContractResource,
  GatewayResource,
  IntentResource,
  OperationResource,
} from '../model/resources.js';
import type { Position } from '../model/position.js';
import { byCodeUnit } from './encode.js';
import { freezesOfAll, isFrozen } from './freeze.js';
import { forcedIn } from './breaker.js';
import { holdIn } from './hold.js';
import { layersOf } from './layers.js';
import { inForce } from './record.js';
import { progressOf } from './operations.js';
import { askedOf, inFlightOf, isSilent } from './proof.js';
import { drainTarget, membersIn, recordIn, type World } from './world.js';

/** Every gateway of the roster, and every one that was heard or that Redis lists, sorted by id. */
export function describeGateways(world: World): readonly GatewayResource[] {
  const { roster, fleet } = world.witnesses;
  return [...new Set([...roster.keys(), ...fleet.heard.keys(), ...fleet.listed.keys()])]
    .sort(byCodeUnit)
    .map((id) => describeGateway(world, id));
}

function describeGateway(world: World, id: string): GatewayResource {
  const { roster, fleet, now } = world.witnesses;
  const entry = roster.get(id);
  const heard = fleet.heard.get(id);
  const live = heard !== undefined && !isSilent(heard, world.witnesses);
  const beat = heard?.heartbeat;
  const open = Object.values(beat?.in_flight ?? {}).reduce((sum, count) => sum + count, beat?.uncounted ?? 0);
  return {
    id,
    state: live ? 'live' : heard || entry ? 'unknown' : 'never_heard',
    in_roster: entry !== undefined,
    since: entry?.since ?? null,
    silent_ms: heard ? Math.max(0, Math.round(now - heard.changed_at)) : silenceOf(world, id),
    host: beat?.host ?? entry?.host ?? null,
    boot: beat?.boot ?? entry?.boot ?? null,
    workers: beat?.workers ?? null,
    contracts: heard || entry ? understoodBy(id, world.witnesses) : null,
    applied: beat?.applied ?? null,
    behind: live && beat?.applied ? generationsBehind(world, beat.applied) : null,
    rejected: beat?.rejected ?? [],
    in_flight: live ? open : null,
    problems: live ? (beat?.problems ?? []).map(describeProblem) : [],
  };
}

/** The version that sets are written in, and whom that concerns. */
export function describeContract({ contract = OLDEST }: World): ContractResource {
  const { version, most, limited_by, left_behind } = contract;
  return { version, most, limited_by, left_behind };
}

function describeProblem({ kind, reason, since }: GatewayProblem): GatewayResource['problems'][number] {
  return { kind, reason, since: new Date(since * 1_000).toISOString() };
}

/** By the wall clock, for one that is only in Redis' list; null if nobody knows. */
function silenceOf(world: World, id: string): number | null {
  const seconds = world.witnesses.fleet.listed.get(id);
  return seconds === undefined ? null : Math.max(0, Math.round(world.wall - seconds * 1_000));
}

/** Generations of another epoch cannot be compared: a gateway of another epoch has everything before it. */
function generationsBehind(world: World, applied: Position): number {
  let newest = 0;
  for (const { generation } of world.published.values()) newest = Math.max(newest, generation);
  return applied.epoch === world.epoch ? Math.max(0, newest - applied.generation) : newest;
}

/** Everything an operator has changed and not taken back. */
export function describeIntents(world: World): readonly IntentResource[] {
  const lines: IntentResource[] = freezesOfAll(world).map((one) => freezeLine('*', one));
  for (const [service, { record }] of [...world.intents].sort(([a], [b]) => byCodeUnit(a, b))) {
    for (const [instance, intent] of Object.entries(record.instances)) {
      const { isolation, drain, weight, backup } = layersOf(inForce(intent, dueOf(world)));
      const line = (kind: IntentResource['kind'], value: string, one: Decided): void => {
        const { by, reason, at: since, expires } = one;
        lines.push({ service, instance, kind, value, by, reason, since, until: expires ?? null });
      };
      if (isolation) line('isolated', 'isolated', isolation);
      if (drain) line(drain.state, isolation ? `${drain.state}, below the isolation` : drain.state, drain);
      if (weight) line('weight', String(weight.value), weight);
      if (backup) line('backup', String(backup.value), backup);
    }
    const { freeze } = record;
    if (isFrozen(freeze, dueOf(world)))
      lines.push(freezeLine(service, { ...freeze, since: freeze.at, until: freeze.expires ?? null }));
    lines.push(...wordsOf(service, record, dueOf(world)));
    const shares = Object.entries(record.versions);
    if (shares.length === 0) continue;
    // In records of before the author was kept, the newest event names the author.
    const event =
      record.versions_by ?? [...record.events].reverse().find((one) => one.event === 'shares_changed');
    lines.push({
      service,
      instance: null,
      kind: 'versions',
      value: shares.map(([version, share]) => `${version}=${String(share)}`).join(','),
      by: event?.by ?? '',
      reason: event?.reason ?? '',
      since: event?.at ?? '',
      until: null,
    });
  }
  return lines;
}

function freezeLine(
  service: string,
  { by, reason, since, until }: Pick<FreezeResource, 'by' | 'reason' | 'since' | 'until'>,
): IntentResource {
  return { service, instance: null, kind: 'freeze', value: 'frozen', by, reason, since, until };
}

/** What a person said of instances that vanished, and of the breaker. */
function wordsOf(service: string, record: IntentRecord, due: number): readonly IntentResource[] {
  const [hold, forced] = [holdIn(record, due), forcedIn(record, due)];
  const { accepted } = record;
  const line = (kind: IntentResource['kind'], value: string, { by, reason, at, expires }: Decided) => {
    return { service, instance: null, kind, value, by, reason, since: at, until: expires ?? null };
  };
  return [
    ...(hold ? [line('hold', 'held', hold)] : []),
    ...(forced ? [line('breaker', forced.state, forced)] : []),
    ...(accepted ? [line('accepted', Object.keys(accepted.instances).join(','), accepted)] : []),
  ];
}

/** Every operation that is still remembered, newest first. */
export function describeOperations(world: World): readonly OperationResource[] {
  const parts = new Map<string, Part[]>();
  for (const [service, { record }] of world.intents)
    for (const op of record.ops) parts.set(op.id, [...(parts.get(op.id) ?? []), { service, op }]);
  return [...parts.values()]
    .flatMap((of) => describeTogether(world, of) ?? [])
    .sort((a, b) => byCodeUnit(b.at, a.at) || byCodeUnit(b.id, a.id));
}

/** How bad a result is: an operation over several services shows the worst of theirs. */
const SEVERITY: readonly OperationResult[] = [
  'drained',
  'cancelled',
  'superseded',
  'undrained',
  'cut',
  'timed_out',
  'unproven',
];

/** One operation over all services it touches; `undefined` if nobody remembers it. */
export function describeOperation(world: World, id: string): OperationResource | undefined {
  const parts: Part[] = [];
  for (const [service, { record }] of world.intents) {
    const op = record.ops.find((one) => one.id === id);
    if (op) parts.push({ service, op });
  }
  return describeTogether(world, parts);
}

/** An operation's entry in one service. */
interface Part {
  readonly service: string;
  readonly op: OperationRecord;
}

function describeTogether(world: World, parts: readonly Part[]): OperationResource | undefined {
  const first = parts[0]?.op;
  if (!first) return undefined;
  const instances = parts.flatMap(({ service, op }) => describeParts(world, service, op));
  const done = instances.every((one) => one.result !== null);
  const results = instances.flatMap((one) => one.result ?? []);
  const worst = [...results].sort((a, b) => SEVERITY.indexOf(b) - SEVERITY.indexOf(a))[0];
  const ended = parts.flatMap(({ op }) => op.ended_at ?? []).sort(byCodeUnit);
  return {
    id: first.id,
    kind: 'drain',
    state: done ? 'done' : 'running',
    result: done ? (worst ?? null) : null,
    by: first.by,
    reason: first.reason,
    at: first.at,
    deadline: first.deadline ?? null,
    on_timeout: first.on_timeout,
    ended_at: done ? (ended[ended.length - 1] ?? null) : null,
    gateways: first.gateways ?? askedOf(world.witnesses, world.wall),
    published: instances.every((one) => drainTarget(world, one.service, one.id) !== null),
    instances,
    waiting_for: [...new Set(instances.flatMap((one) => one.waiting_for))],
  };
}

/** Proof is a read: an operation whose instances are all proven empty is over, even while nobody can write that down. */
function describeParts(world: World, service: string, op: OperationRecord): OperationResource['instances'] {
  const target = (of: string, instance: string) => drainTarget(world, of, instance);
  const progress = progressOf(service, recordIn(world, service), op, target, world.witnesses);
  const proven = progress.every((one) => !one.taken && one.status.drained);
  const result = op.result ?? (proven ? 'drained' : null);
  return progress.map((one) => {
    const drained = result === null ? !one.taken && one.status.drained : result === 'drained';
    const missing = result === null ? one.status.waiting_for : (op.waited_for ?? []);
    return {
      service,
      id: one.id,
      drained,
      in_flight: membersIn(world, service).has(one.id) ? inFlightOf(service, one.id, world.witnesses) : {},
      waiting_for: drained ? [] : missing,
      result,
      requests_left: op.left && Object.hasOwn(op.left, one.id) ? (op.left[one.id] ?? 0) : 0,
    };
  });
}
