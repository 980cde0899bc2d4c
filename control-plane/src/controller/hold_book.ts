import type { Decided, StoredIntent } from '../model/intent.js';
import { HOLD_KINDS, type StandingHold } from '../model/hold.js';
import type { Log } from '../model/ports.js';
import { spellHold } from '../plan/describe_holds.js';
import { holdIn, isAccepted, type Hold } from '../plan/hold.js';
import { remembered, sameOr } from '../plan/incremental.js';
import type { Membership } from '../plan/membership.js';

/** What the book is brought up to date from. */
export interface HoldFacts {
  /** Service → why its removals wait. */
  readonly holds: ReadonlyMap<string, readonly Hold[]>;
  readonly intents: ReadonlyMap<string, StoredIntent>;
  readonly membership: Membership;
  /** Why nothing is published until a person has decided, or null. */
  readonly loss: string | null;
  /** Monotonic. */
  readonly now: number;
  readonly wall: number;
  readonly due: number;
}

type Standing = ReadonlyMap<string, readonly StandingHold[]>;

/** An end that moves by less is the same end. */
const SAME_END_MS = 1_500;
/** So many lines at most for one look: a registry that loses everything must not fill the disk. */
const MOST_LINES = 100;

/**
 * Every hold with the moments of the wall clock at which it began and ends, and one line of the log for each that begins, is extended
 * or ends.
 */
export class HoldBook {
  readonly #log: Log;
  readonly #byPerson = remembered((intents: HoldFacts['intents']) =>
    [...intents].flatMap(
      ([
        service,
        {
          record: { hold },
        },
      ]) => (hold ? [{ service, hold }] : []),
    ),
  );
  #standing: Standing = new Map();
  #loss: string | null = null;
  /** What was taken in last, and until when it says the same. */
  #from: (Pick<HoldFacts, 'holds' | 'intents'> & { readonly until: number }) | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Service → its holds, the strongest kind first; the same object while nothing changed. */
  get standing(): Standing {
    return this.#standing;
  }

  /** Takes in what holds now. */
  take(facts: HoldFacts): void {
    this.#takeLoss(facts.loss);
    const { holds, intents, due } = facts;
    if (this.#from?.holds === holds && this.#from.intents === intents && due < this.#from.until) return;
    const personal = new Map<string, Decided>();
    let until = Infinity;
    for (const { service, hold } of this.#byPerson(intents)) {
      if (holdIn({ hold }, due) === undefined) continue;
      personal.set(service, hold);
      until = Math.min(until, Date.parse(hold.expires ?? ''));
    }
    this.#from = { holds, intents, until };
    if (this.#standing.size + personal.size + facts.holds.size === 0) return;
    const next = new Map<string, readonly StandingHold[]>();
    for (const service of new Set([...facts.holds.keys(), ...personal.keys()]))
      next.set(service, this.#standingOf(service, personal.get(service), facts));
    const before = this.#standing;
    this.#standing = sameOr(before, next);
    if (this.#standing !== before) this.#write(before, facts);
  }

  #takeLoss(loss: string | null): void {
    if (this.#loss === null && loss !== null) this.#log.warn({ hold: 'data_loss' }, `hold began: ${loss}`);
    if (this.#loss !== null && loss === null) this.#log.info({ hold: 'data_loss' }, 'hold ended');
    this.#loss = loss;
  }

  /** The list of before where it says the same. */
  #standingOf(service: string, hold: Decided | undefined, facts: HoldFacts): readonly StandingHold[] {
    const before = this.#standing.get(service) ?? [];
    const found = facts.holds.get(service) ?? [];
    const personal: readonly Hold[] =
      hold === undefined || found.some(({ kind }) => kind === 'person')
        ? []
        : [{ kind: 'person', instances: [], since: facts.now, until: facts.now }];
    const order = ({ kind }: Hold): number => HOLD_KINDS.indexOf(kind);
    const after = [...found, ...personal]
      .sort((a, b) => order(a) - order(b))
      .map((one) => byWall(one, hold, before, facts));
    return after.length === before.length && after.every((one, index) => one === before[index])
      ? before
      : after;
  }

  #write(before: Standing, facts: HoldFacts): void {
    const lines: (() => void)[] = [];
    for (const service of new Set([...before.keys(), ...this.#standing.keys()])) {
      const [was, is] = [before.get(service) ?? [], this.#standing.get(service) ?? []];
      if (was === is) continue;
      for (const hold of is) {
        const old = was.find(({ kind }) => kind === hold.kind);
        if (old && old.until === hold.until) continue;
        const verb = old === undefined ? 'began' : isLater(hold.until, old.until) ? 'extended' : 'shortened';
        lines.push(() => {
          this.#log.warn(fieldsOf(service, hold), `hold ${verb}: ${spellHold(hold)}`);
        });
      }
      for (const hold of was)
        if (!is.some(({ kind }) => kind === hold.kind))
          lines.push(() => {
            this.#log.info(fieldsOf(service, hold), `hold ended: ${ending(service, hold, is, facts)}`);
          });
    }
    for (const line of lines.slice(0, MOST_LINES)) line();
    const more = lines.length - MOST_LINES;
    if (more > 0)
      this.#log.warn({ more }, 'more holds began, changed or ended; GET /v1/protection lists them');
  }
}

/** A hold by the wall clock; the one of before where it says the same, whatever the clocks' last milliseconds. */
function byWall(
  { kind, instances, since, until }: Hold,
  person: Decided | undefined,
  before: readonly StandingHold[],
  { now, wall }: HoldFacts,
): StandingHold {
  const old = before.find((one) => one.kind === kind);
  const decided = kind === 'person' ? person : undefined;
  const end = until === Infinity ? null : new Date(wall + until - now).toISOString();
  const hold: StandingHold = {
    kind,
    instances: old && sameNames(old.instances, instances) ? old.instances : instances,
    since: decided?.at ?? old?.since ?? new Date(wall + since - now).toISOString(),
    until: decided ? (decided.expires ?? null) : old && isSameEnd(old.until, end) ? old.until : end,
    by: decided?.by ?? null,
    reason: decided?.reason ?? null,
  };
  const isSame =
    old !== undefined &&
    old.instances === hold.instances &&
    old.since === hold.since &&
    old.until === hold.until &&
    old.by === hold.by &&
    old.reason === hold.reason;
  return isSame ? old : hold;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

function isSameEnd(a: string | null, b: string | null): boolean {
  if (a === null || b === null) return a === b;
  return Math.abs(Date.parse(a) - Date.parse(b)) < SAME_END_MS;
}

function isLater(a: string | null, b: string | null): boolean {
  return b !== null && (a === null || Date.parse(a) > Date.parse(b));
}

function fieldsOf(service: string, { kind, instances, since, until, by, reason }: StandingHold): object {
  return {
    ...{ service, hold: kind, instances: instances.length, since, until },
    ...(by === null ? {} : { by, reason }),
  };
}

/** What became of those that were kept. */
function ending(
  service: string,
  { instances }: StandingHold,
  is: readonly StandingHold[],
  { membership, intents }: HoldFacts,
): string {
  const members = membership.get(service);
  const record = intents.get(service)?.record;
  const counts = new Map<string, number>();
  for (const id of instances) {
    const member = members?.get(id);
    const what =
      member?.presence === 'present'
        ? 'registered again'
        : member && record && isAccepted(record, id, member)
          ? `gone, as ${record.accepted?.by ?? ''} says`
          : member === undefined || member.presence === 'gone'
            ? 'gone'
            : `held on (${is.map(({ kind }) => kind).join(', ') || 'for a moment'})`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].map(([what, count]) => `${String(count)} ${what}`).join(', ') || 'it kept nobody';
}
