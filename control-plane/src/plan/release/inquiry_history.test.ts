import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ReleaseRecord, hasEnded } from '../../model/release.js';
import type { AnswerVerdict, GateAnswer } from '../../model/release_gates.js';
import { draws } from '../../testing/draws.js';
import { buildCounts, buildFacts, buildRelease, RELEASE_AT, buildWeighted } from '../../testing/releases.js';
import { advance } from './advance.js';
import { questionsOf, type Question } from './questions.js';

const RUNS = draws(1_500);

/*
 * Whole histories of questions: controllers that ask, write and die; gates that answer late or never; every question and every
 * written record is kept, and looked at in the end.
 */

const FIRST = buildRelease({
  strategy: buildWeighted([
    { weight: 10 },
    { pause: { for_ms: 12_000 } },
    { weight: 50 },
    { pause: { for_ms: 8_000 } },
    { weight: 100 },
  ]),
  gates: {
    ...buildRelease().gates,
    on_inconclusive: 'pass',
    interval_ms: 3_000,
    webhooks: [{ name: 'ci', url: 'http://ci', timeout_ms: 1_000 }],
    prometheus: [{ name: 'lag', query: 'lag', max: 1, min: null }],
  },
});

class History {
  written: ReleaseRecord = FIRST;
  readonly records: ReleaseRecord[] = [FIRST];
  /** Key → every body that was asked under it. */
  readonly asked = new Map<string, Question[]>();
  now = RELEASE_AT;
  served = 0;
  #from = 0;
  #run = 1;
  #kept: ReleaseRecord | null = null;
  #writtenAt = RELEASE_AT;
  /** What the controller that lives now has asked; null = not answered yet. */
  #asked = new Map<string, GateAnswer | null>();

  crash(): void {
    this.#kept = null;
    this.#asked = new Map();
    this.#run += 1;
    this.#from = this.served;
  }

  /** One pass as the shell makes it; `die` kills the controller before or after it has written. */
  pass(die: 'no' | 'before' | 'after' = 'no'): void {
    const present = this.#kept ?? this.written;
    const answers = Object.fromEntries(
      [...this.#asked].flatMap(([key, answer]) => (answer ? [[key, answer]] : [])),
    );
    const n = this.served - this.#from;
    const facts = buildFacts({
      answers,
      watcher: `run-${String(this.#run)}`,
      totals: { v1: buildCounts(n), v2: buildCounts(n) },
      intent_shares: this.written.state === 'finalizing' ? { v2: 100 } : { v1: 100 },
    });
    const result = advance(present, facts, this.now);
    const due = result.moved || this.now - this.#writtenAt >= 5_000;
    if (due && die === 'before') {
      this.crash();
      return;
    }
    this.#kept = result.moved ? present : result.record;
    if (due) {
      this.written = result.record;
      this.records.push(result.record);
      this.#writtenAt = this.now;
      this.#kept = null;
    }
    if (due && die === 'after') {
      this.crash();
      return;
    }
    const wanted = questionsOf(this.written);
    for (const key of this.#asked.keys()) if (!wanted.some((one) => one.key === key)) this.#asked.delete(key);
    for (const question of wanted) {
      if (this.#asked.has(question.key)) continue;
      this.#asked.set(question.key, null);
      this.asked.set(question.key, [...(this.asked.get(question.key) ?? []), question]);
    }
  }

  answer(verdict: AnswerVerdict): void {
    for (const [key, answer] of this.#asked)
      if (!answer)
        this.#asked.set(key, { verdict, value: null, message: key, at: new Date(this.now).toISOString() });
  }

  live(ms: number): void {
    this.now += ms;
    this.served += 60;
  }
}

function finish(history: History, verdict: AnswerVerdict = 'pass'): void {
  for (let passes = 0; passes < 300 && !hasEnded(history.written.state); passes += 1) {
    history.live(1_000);
    history.pass();
    history.answer(verdict);
  }
}

it('with gates that are content a release succeeds, and so it does killed at every write', () => {
  for (const die of ['no', 'before', 'after'] as const)
    for (let at = 0; at < 80; at += 1) {
      const history = new History();
      for (let passes = 0; passes < at; passes += 1) {
        history.live(1_000);
        history.pass();
        history.answer('pass');
      }
      history.pass(die);
      finish(history);
      expect(history.written.state).toBe('succeeded');
    }
});

it('a gate that says abort ends every release', () => {
  const history = new History();
  finish(history, 'abort');
  expect(history.written).toMatchObject({ state: 'rolled_back' });
});

/** True if `record` has the answer to the question `key`. */
function isWritten({ inquiry, step, attempt }: ReleaseRecord, key: string): boolean {
  const answered = Object.keys(inquiry?.answers ?? {});
  return answered.some((gate) => key === `rel-1/${step}/${attempt}/${gate}/${inquiry?.n ?? 0}`);
}

type Act = (history: History) => void;
const acts: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<Act>((h) => h.pass()) },
  {
    weight: 4,
    arbitrary: fc.integer({ min: 200, max: 5_000 }).map(
      (ms): Act =>
        (h) =>
          h.live(ms),
    ),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom<AnswerVerdict>(
        'pass',
        'pass',
        'pass',
        'wait',
        'inconclusive',
        'fail',
        'abort',
        'complete',
      )
      .map(
        (verdict): Act =>
          (h) =>
            h.answer(verdict),
      ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Act>(
      (h) => h.crash(),
      (h) => h.pass('before'),
      (h) => h.pass('after'),
    ),
  },
);

it('whatever happens: what is obeyed was written, a key has one question, and nothing written is asked again', () => {
  let spoken = 0;
  fc.assert(
    fc.property(fc.array(acts, { minLength: 20, maxLength: 120 }), (list) => {
      const history = new History();
      for (const act of list) {
        const { written } = history;
        const before = new Map([...history.asked].map(([key, all]) => [key, all.length]));
        act(history);
        for (const [key, all] of history.asked)
          if ((before.get(key) ?? 0) < all.length) expect(isWritten(written, key)).toBe(false);
      }
      for (const [, questions] of history.asked)
        for (const question of questions) expect(question).toEqual(questions[0]);
      for (const [index, record] of history.records.entries()) {
        const before = history.records[index - 1];
        if (!before) continue;
        const wentBack = record.state === 'rolling_back' && before.state !== 'rolling_back';
        if (wentBack && record.message.includes('abort')) {
          spoken += 1;
          expect(before.inquiry).toMatchObject({ open: true });
          expect(Object.values(before.inquiry?.answers ?? {}).map(({ verdict }) => verdict)).toContain(
            'abort',
          );
        }
        const [then, now] = [before.inquiry, record.inquiry];
        if (then && now && before.step === record.step) expect(now.n).toBeGreaterThanOrEqual(then.n);
        if (then && now && then.n === now.n) expect(now.answers).toMatchObject(then.answers);
      }
    }),
    { numRuns: RUNS },
  );
  expect(spoken).toBeGreaterThan(RUNS / 30);
}, 60_000);
