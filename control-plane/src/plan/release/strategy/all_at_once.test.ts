import { afterAll, describe, expect, it } from 'vitest';
import type { ReleaseRecord } from '../../../model/release.js';
import type { Strategy } from '../../../model/release_strategy.js';
import { buildRelease } from '../../../testing/releases.js';
import { isObeyed, obedience, readiness } from '../facts.js';
import { enter, turnedAt } from '../record.js';
import { settleShares } from '../settle.js';
import { FAMILY } from './family.js';
import { strategyContract } from './strategy.contract.js';
import { strategyOf } from './of.js';
import { WITHOUT_INSTANCES, type ReleaseStrategy } from './strategy.js';

/*
 * A third strategy is one file: this one, which no product file knows. It gives the target everything in one step.
 */

interface AllAtOnce {
  readonly kind: 'all_at_once';
  readonly progress: Readonly<Record<string, never>>;
}

declare module '../../../model/release_strategy.js' {
  interface Strategies {
    readonly all_at_once: AllAtOnce;
  }
}
declare module '../../../model/release_plane.js' {
  interface StrategyRequests {
    readonly all_at_once: { readonly kind: 'all_at_once' };
  }
}

const NEW: Strategy = { kind: 'all_at_once', progress: {} };

const allAtOnce: ReleaseStrategy = {
  ...WITHOUT_INSTANCES,
  kind: 'all_at_once',

  create: () => NEW,
  again: () => NEW,
  soaks: () => [],
  finishes: () => false,
  refuse: () => null,
  originate: (strategy, { running, stable }) => ({ strategy, base: running?.shares ?? { [stable]: 100 } }),
  guardStart: () => [],

  unsound: ({ shares }) => (Object.keys(shares).length === 1 ? null : 'all at once, with several shares'),
  observe: () => ({ observed: false, stalled: false }),
  foresee: ({ strategy }) => strategy,
  awaits: (record, facts) => readiness(record.target, facts),
  begin: (record, facts, now) => {
    if (facts.blocked_by.length > 0) return { waits: facts.blocked_by };
    const to = {
      state: 'progressing',
      phase: 'applying',
      event: 'step_begun',
      message: 'everything',
    } as const;
    return { moved: enter(record, { ...to, shares: { [record.target]: 100 } }, now) };
  },
  advance: (record, facts, now) =>
    isObeyed(facts) ? { moved: finalize(record, now) } : { waits: obedience(facts) },
  soakMs: () => 0,
  next: (record, _facts, now) => ({ moved: finalize(record, now) }),
  complete: (record, _facts, { now }) => ({ moved: finalize(record, now) }),
  finish: (record, facts, now) =>
    settleShares(record, facts, record.target, { state: 'succeeded', message: 'everything serves' }, now),
  rollBack: (record, ending, { by, message, now }) => {
    const to = { state: 'rolling_back', ending, turned: turnedAt(record), event: 'rolling_back' } as const;
    return enter(record, { ...to, message, by, shares: { [record.stable]: 100 } }, now);
  },
  goBack: (record, facts, now) => {
    const end = { state: record.ending ?? 'rolled_back', message: 'everything is back' };
    return settleShares(record, facts, record.stable, end, now);
  },
  guardStep: (_record, _index, facts) => facts.blocked_by,

  retry: (record, { by, message, now }) => {
    const to = { state: 'progressing', phase: 'applying', attempt: record.attempt + 1 } as const;
    return enter(record, { ...to, event: 'retried', message, by }, now);
  },
  promote: (record, _facts, { full }, { now }) => (full ? { moved: finalize(record, now) } : 'unfit'),
  skip: (record, _facts, _how, { now }) => ({ moved: finalize(record, now) }),

  describe: () => ({ steps: 1, back: null, in_place: null }),
  plan: ({ target }) => ({
    steps: [
      {
        ...{ step: 0, what: '1/1 everything', shares: { [target]: 100 }, instances: [] },
        ...{ direction: 'forward', ready: {}, needs: 1 },
      },
    ],
    upgrade: null,
    gates: [],
  }),
};

function finalize(record: ReleaseRecord, now: number): ReleaseRecord {
  const to = { state: 'finalizing', step: 1, event: 'finalizing', message: 'the step is done' } as const;
  return enter(record, to, now);
}

// Its line in the table of family.ts, for as long as this file is tested.
const family = FAMILY as ReleaseStrategy[];
family.push(allAtOnce);
afterAll(() => {
  family.splice(family.indexOf(allAtOnce), 1);
});

strategyContract({
  request: { kind: 'all_at_once' },
  instances: { i1: 'v1', i2: 'v1', i3: 'v2', i4: 'v2' },
});

describe('the family', () => {
  it('knows its strategies by kind, and refuses to guess at another one', () => {
    expect(strategyOf(buildRelease()).kind).toBe('weighted');
    expect(strategyOf({ strategy: NEW }).kind).toBe('all_at_once');
    const strange = { kind: 'mirrored', progress: {} } as unknown as Strategy;
    expect(() => strategyOf({ strategy: strange })).toThrow(/mirrored is not known to this controller/);
  });
});
