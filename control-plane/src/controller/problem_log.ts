import type { Log } from '../model/ports.js';
import { problemKey, severityOf, type StandingProblem } from '../model/standing_problem.js';

interface Known {
  readonly problem: StandingProblem;
  readonly since: number;
}

/** So many lines at most for one look: a registry full of bad nodes must not fill the disk. */
const MOST_LINES = 100;

/** Their beginning and end are lines of what they are about: a hold, the certificate of the API. */
const WRITTEN_ELSEWHERE: ReadonlySet<StandingProblem['code']> = new Set([
  'all_vanished',
  'unusable_certificate',
]);

/** Remembers since when each problem is there, and writes one line when it begins and one when it is over. */
export class ProblemLog {
  readonly #log: Log;
  #known = new Map<string, Known>();
  #since: ReadonlyMap<string, number> = new Map();

  constructor(log: Log) {
    this.#log = log;
  }

  /** Wall clock of the first look at each problem that is there now, by its key; another map when anything began or ended. */
  get since(): ReadonlyMap<string, number> {
    return this.#since;
  }

  /** Takes in what is wrong at `wall`: all of it, of a moment at which everything is known. */
  take(problems: readonly StandingProblem[], wall: number): void {
    const now = new Map<string, Known>();
    for (const problem of problems) {
      const key = problemKey(problem);
      now.set(key, { problem, since: this.#known.get(key)?.since ?? wall });
    }
    const begun = [...now].filter(([key]) => !this.#known.has(key));
    const over = [...this.#known].filter(([key]) => !now.has(key));
    this.#known = now;
    if (begun.length + over.length === 0) return;
    this.#since = new Map([...now].map(([key, { since }]) => [key, since]));
    this.#write(begun, ({ problem }) => {
      const level = severityOf(problem.code) === 'note' ? 'info' : 'warn';
      this.#log[level](fieldsOf(problem), `problem: ${problem.message}`);
    });
    this.#write(over, ({ problem, since }) => {
      const fields = { ...fieldsOf(problem), since: new Date(since).toISOString() };
      this.#log.info(fields, 'problem is over');
    });
  }

  #write(all: readonly (readonly [string, Known])[], line: (one: Known) => void): void {
    const those = all.filter(([, { problem }]) => !WRITTEN_ELSEWHERE.has(problem.code));
    for (const [, one] of those.slice(0, MOST_LINES)) line(one);
    const more = those.length - MOST_LINES;
    if (more > 0) this.#log.warn({ more }, 'more problems began or ended; ebbgate get problems lists them');
  }
}

function fieldsOf({ code, service, instance, path, field }: StandingProblem): object {
  return { problem: code, service, instance, path, field };
}
