import type { IntentRecord, OperationRecord, OperationResult, ServiceEvent } from '../model/intent.js';
import type { Asked } from '../model/gateway.js';
import type { DrainStatus } from '../model/resources.js';
import { isFrozen } from './freeze.js';
import { forcedIn } from './breaker.js';
import { holdIn, isKept } from './hold.js';
import type { ServiceMembers } from './membership.js';
import { askedOf, isUnknowable, proveDrained, type ProofTarget, type Witnesses } from './proof.js';
import { drainOf, layersOf, spellLayers, describeLayerChange } from './layers.js';
import { inForce, revise, instanceIntent, withLayers } from './record.js';

/*
 * A drain operation runs until it has a result:
 *
 *   running → drained      every instance is proven empty
 *           → superseded   an undrain or a newer drain took one of its instances away
 *           → cancelled    a person ended it
 *   and at its deadline, by on_timeout:
 *           → cut          stopped waiting: the instances are down, their open requests are counted in `left`
 *           → undrained    the instances were given back
 *           → unproven     (wait) a gateway could not be heard or did not ack: nothing is claimed
 *           → timed_out    (wait) requests were still open
 *
 * `unproven` and `timed_out` leave the instances draining; if the proof comes later, the result becomes `drained`. An isolation
 * lies over a drain and ends no operation: the proof is the same.
 */

/** The position of the published set of a service if it gives `instance` no new requests; else why there is none. */
export type DrainTarget = (service: string, instance: string) => ProofTarget;

/** One instance of an operation, as of now. `taken` = another intent has it. */
export interface InstanceProgress {
  readonly id: string;
  readonly taken: boolean;
  readonly status: DrainStatus;
}

/** Every instance of `op` as it is now. */
export function progressOf(
  service: string,
  record: IntentRecord,
  op: OperationRecord,
  target: DrainTarget,
  witnesses: Witnesses,
): readonly InstanceProgress[] {
  return op.instances.map((id) => {
    const taken = drainOf(instanceIntent(record.instances, id))?.op !== op.id;
    return { id, taken, status: proveDrained(service, id, target(service, id), witnesses) };
  });
}

/** The record after evaluating its operations at `wall`, or null if nothing ended; deadlines until `due` are over. */
export function advanceOperations(
  service: string,
  record: IntentRecord,
  target: DrainTarget,
  witnesses: Witnesses,
  wall: number,
  due = wall,
): IntentRecord | null {
  let next = record;
  const ended: ServiceEvent[] = [];
  for (const op of record.ops) {
    const verdict = verdictOn(service, record, op, target, witnesses, due);
    if (!verdict) continue;
    next = { ...next, ...apply(next, op, verdict, wall, askedOf(witnesses, wall)) };
    ended.push(eventOf(op, verdict, wall));
  }
  return ended.length === 0 ? null : revise(record, { instances: next.instances, ops: next.ops }, ended);
}

/** How many reasons a record keeps of what an operation waited for. */
const MOST_REASONS = 20;

/** A deadline that passed while no controller listened counts only after this one has had time to hear everybody. */
const LEARNING_GRACE_MS = 60_000;

interface Verdict {
  readonly result: OperationResult;
  readonly left: Readonly<Record<string, number>>;
  readonly waited_for: readonly string[];
}

function verdictOn(
  service: string,
  record: IntentRecord,
  op: OperationRecord,
  target: DrainTarget,
  witnesses: Witnesses,
  due: number,
): Verdict | null {
  const running = op.result === undefined;
  const mayStillProve = op.result === 'unproven' || op.result === 'timed_out';
  if (!running && !mayStillProve) return null;
  const progress = progressOf(service, record, op, target, witnesses);
  const nothingLeft = { left: {}, waited_for: [] };
  if (progress.some((one) => one.taken)) return running ? { result: 'superseded', ...nothingLeft } : null;
  if (progress.every((one) => one.status.drained)) return { result: 'drained', ...nothingLeft };
  if (!running || op.deadline === undefined) return null;
  const grace = witnesses.learning ? LEARNING_GRACE_MS : 0;
  if (due < Date.parse(op.deadline) + grace) return null;
  const open = progress.filter((one) => (one.status.in_flight ?? 0) > 0);
  const left = Object.fromEntries(open.map((one) => [one.id, one.status.in_flight ?? 0]));
  const waited = [...new Set(progress.flatMap((one) => one.status.waiting_for))].slice(0, MOST_REASONS);
  return { result: timeOutResult(service, op, progress, target, witnesses), left, waited_for: waited };
}

function timeOutResult(
  service: string,
  op: OperationRecord,
  progress: readonly InstanceProgress[],
  target: DrainTarget,
  witnesses: Witnesses,
): OperationResult {
  if (op.on_timeout === 'cut') return 'cut';
  if (op.on_timeout === 'undrain') return 'undrained';
  const unknowable = progress.some(
    (one) => one.status.in_flight === null || isUnknowable(service, target(service, one.id), witnesses),
  );
  return unknowable ? 'unproven' : 'timed_out';
}

function apply(
  record: IntentRecord,
  op: OperationRecord,
  verdict: Verdict,
  wall: number,
  gateways: Asked,
): Pick<IntentRecord, 'instances' | 'ops'> {
  let { instances } = record;
  for (const id of op.instances)
    instances = withLayers(instances, id, (layers) => {
      const { drain, ...others } = layers;
      if (drain?.op !== op.id) return layers;
      if (verdict.result === 'undrained') return others;
      const { keep_sticky_until: _kept, ...rest } = drain;
      return verdict.result === 'cut' ? { ...others, drain: { ...rest, state: 'cut' } } : layers;
    });
  const { left: _left, waited_for: _waited, gateways: _asked, ...rest } = op;
  const done: OperationRecord = {
    ...rest,
    result: verdict.result,
    ended_at: new Date(wall).toISOString(),
    ...(Object.keys(verdict.left).length > 0 ? { left: verdict.left } : {}),
    ...(verdict.waited_for.length > 0 ? { waited_for: verdict.waited_for } : {}),
    gateways,
  };
  return { instances, ops: record.ops.map((one) => (one.id === op.id ? done : one)) };
}

function eventOf(op: OperationRecord, verdict: Verdict, wall: number): ServiceEvent {
  const many =
    op.instances.length === 1 ? (op.instances[0] ?? '') : `${String(op.instances.length)} instances`;
  const why = verdict.waited_for.length > 0 ? `; it waited for: ${verdict.waited_for.join('; ')}` : '';
  const late = op.result === undefined ? '' : ` (late: it had ended ${op.result})`;
  return {
    at: new Date(wall).toISOString(),
    event: verdict.result === 'drained' ? 'drained' : `drain_${verdict.result}`,
    by: 'controller',
    ...(op.instances.length === 1 && op.instances[0] !== undefined ? { instance: op.instances[0] } : {}),
    message: `drain of ${many} asked for by ${op.by}: ${verdict.result}${late}${why}`,
  };
}

/** The record without what has expired until `due`, or null if nothing has. */
export function expireIntents(record: IntentRecord, wall: number, due = wall): IntentRecord | null {
  const expired = Object.entries(record.instances).filter(([, intent]) => inForce(intent, due) !== intent);
  const { freeze, hold, breaker } = record;
  const thawed = freeze !== undefined && !isFrozen(freeze, due);
  const released = hold !== undefined && holdIn(record, due) === undefined;
  const freed = breaker !== undefined && forcedIn(record, due) === undefined;
  if (expired.length === 0 && !thawed && !released && !freed) return null;
  let { instances } = record;
  for (const [id, intent] of expired)
    instances = withLayers(instances, id, () => layersOf(inForce(intent, due)));
  const events = expired.map(([id, intent]): ServiceEvent => {
    const left = inForce(intent, due);
    const gone = spellLayers(intent).filter((one) => !spellLayers(left).includes(one));
    const lines = describeLayerChange(intent, left).filter((one) => !one.startsWith('takes back'));
    const message = [`expired: ${gone.join(', ')}`, ...lines].join('; ');
    return { at: new Date(wall).toISOString(), event: 'expired', by: 'controller', instance: id, message };
  });
  const at = new Date(wall).toISOString();
  const by = freeze?.by ?? '';
  const say = (what: string, whose: string): void => {
    events.push({ at, event: 'expired', by: 'controller', message: `${what} by ${whose} expired` });
  };
  if (thawed) say('freeze', by);
  if (released) say('hold', hold.by);
  if (freed) say(`breaker forced ${breaker.state}`, breaker.by);
  const over = {
    ...(thawed ? { freeze: null } : {}),
    ...(released ? { hold: null } : {}),
    ...(freed ? { breaker: null } : {}),
  };
  return revise(record, { instances, ...over }, events);
}

/**
 * The record without an acceptance that is carried out, or null if there is none: each of its instances is registered again,
 * or `isOut` of the published set. Before that another controller may have to know of it.
 */
export function endAcceptance(
  record: IntentRecord,
  members: ServiceMembers,
  isOut: (id: string) => boolean,
): IntentRecord | null {
  const { accepted } = record;
  if (accepted === undefined) return null;
  const waiting = Object.keys(accepted.instances).some((id) => {
    const member = members.get(id);
    if (member?.presence === 'present') return false;
    return (member !== undefined && isKept(member)) || !isOut(id);
  });
  return waiting ? null : revise(record, { accepted: null }, []);
}
