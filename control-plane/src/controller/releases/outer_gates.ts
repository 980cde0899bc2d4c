import type { Hooks } from '../../model/hooks.js';
import type { Clock, Log } from '../../model/ports.js';
import type { Problem } from '../../model/problem.js';
import type { Prometheus } from '../../model/prometheus.js';
import type { ReleaseRecord } from '../../model/release.js';
import type { GateAnswer, Gates } from '../../model/release_gates.js';
import { inconclusive, readPrometheus, readWebhook, strangePlaceholder } from '../../plan/release/answers.js';
import { questionsOf, type Question } from '../../plan/release/questions.js';

/** What the gates outside need of the controller. */
export interface GateDeps {
  readonly hooks: Hooks;
  readonly prometheus: Prometheus;
  readonly clock: Clock;
  readonly log: Log;
  /** Another pass, soon. */
  readonly wake: () => void;
}

/** How long Prometheus has for an answer. */
const QUERY_MS = 5_000;

/** Asks the gates outside, beside the passes: each question of a written record once; the answer is kept until it is written too. */
export class OuterGates {
  readonly #deps: GateDeps;
  /** By key; null = under way. */
  #asked = new Map<string, GateAnswer | null>();
  readonly #running = new Set<Promise<void>>();
  #stopped = false;

  constructor(deps: GateDeps) {
    this.#deps = deps;
  }

  /** Asks what the `written` records want to know; what none of them asks any more is forgotten. */
  ask(written: readonly ReleaseRecord[]): void {
    const wanted = written.flatMap(questionsOf);
    const keys = new Set(wanted.map(({ key }) => key));
    for (const key of this.#asked.keys()) if (!keys.has(key)) this.#asked.delete(key);
    for (const question of wanted) {
      if (this.#stopped || this.#asked.has(question.key)) continue;
      this.#asked.set(question.key, null);
      const running = this.#ask(question).finally(() => this.#running.delete(running));
      this.#running.add(running);
    }
  }

  /** What has been answered, by key. */
  answers(): Readonly<Record<string, GateAnswer>> {
    return Object.fromEntries([...this.#asked].flatMap(([key, answer]) => (answer ? [[key, answer]] : [])));
  }

  /** Nothing is asked or heard after this. */
  stop(): void {
    this.#stopped = true;
  }

  /** Waits for what is under way; closing the hooks ends that. */
  async close(): Promise<void> {
    this.stop();
    await Promise.all(this.#running);
  }

  async #ask(question: Question): Promise<void> {
    const { hooks, prometheus, clock, log, wake } = this.#deps;
    const { key } = question;
    const answered =
      question.kind === 'webhook'
        ? await hooks.post(question)
        : await prometheus.query(question.query, QUERY_MS);
    // A controller that is stopping has not been answered: the next one asks again.
    if (this.#stopped || !this.#asked.has(key)) return;
    const meaning = !answered.ok
      ? inconclusive(answered.error.reason)
      : question.kind === 'webhook'
        ? readWebhook(answered.value)
        : readPrometheus(answered.value, question);
    log.info({ key, verdict: meaning.verdict, value: meaning.value }, `gate answered: ${meaning.message}`);
    this.#asked.set(key, { ...meaning, at: new Date(clock.wall()).toISOString() });
    wake();
  }
}

/** Why gates outside may not be asked from here, or null: said at the start of a release and not at its first soak. */
export function refuseGates(
  { webhooks = [], prometheus: queries = [] }: Partial<Gates>,
  { hooks, prometheus }: Pick<GateDeps, 'hooks' | 'prometheus'>,
): Problem | null {
  const refused = (field: string, detail: string): Problem => ({ code: 'invalid_request', field, detail });
  for (const [index, { url }] of webhooks.entries()) {
    const field = `body.gates.webhooks.${String(index)}.url`;
    const reason = hooks.forbids(url);
    if (reason !== null) return refused(field, `${field}: ${reason}`);
  }
  for (const [index, { query }] of queries.entries()) {
    const field = `body.gates.prometheus.${String(index)}`;
    if (!prometheus.offered)
      return refused(field, `${field}: no Prometheus is offered: set EBBGATE_PROMETHEUS of the controllers`);
    const strange = strangePlaceholder(query);
    if (strange !== null)
      return refused(
        `${field}.query`,
        `${field}.query: {{${strange}}} is no placeholder; there are {{service}}, {{stable}} and {{target}}`,
      );
  }
  return null;
}
