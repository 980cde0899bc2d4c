import { own } from '../../model/dictionary.js';
import { formatDuration } from '../../model/duration.js';
import type { ReleaseRecord } from '../../model/release.js';
import {
  ANSWER_VERDICTS,
  type AnswerVerdict,
  type GateAnswer,
  type GateReading,
  type Gates,
  type Inquiry,
} from '../../model/release_gates.js';

/*
 * Rounds of questions to the gates outside. A round begins in the record, is asked once that is written, and obeyed once its answers
 * are in the record too; so a controller that takes over asks the same questions again and never obeys what nobody wrote down.
 */

/** An outer gate as it was read last. */
export interface OuterReading {
  /** `webhook:NAME` or `prometheus:NAME`. */
  readonly gate: string;
  readonly verdict: AnswerVerdict;
  readonly value: number | null;
  readonly limit: number | null;
  readonly message: string;
}

/** The outer gates by name, in the order in which they are shown. */
export function outerGates({ webhooks, prometheus }: Gates): readonly string[] {
  return [
    ...webhooks.map(({ name }) => `webhook:${name}`),
    ...prometheus.map(({ name }) => `prometheus:${name}`),
  ];
}

/** What one gate is asked under in this round; a repeat carries the same. */
export function questionKey({ id, step, attempt }: ReleaseRecord, gate: string, n: number): string {
  return `${id}/${String(step)}/${String(attempt)}/${gate}/${String(n)}`;
}

/** The record with another round begun. Nothing else of it moves: `rev` stays. */
export function openInquiry(
  record: ReleaseRecord,
  readings: readonly GateReading[],
  now: number,
): ReleaseRecord {
  const inquiry: Inquiry = {
    n: (record.inquiry?.n ?? 0) + 1,
    at: new Date(now).toISOString(),
    asked_ms: record.observed_ms,
    readings,
    open: true,
    answers: {},
  };
  return { ...record, inquiry };
}

/** The round as it stays when nobody waits for it any more. */
export function closed(inquiry: Inquiry | null, asked_ms?: number): Inquiry | null {
  return inquiry && { ...inquiry, open: false, asked_ms: asked_ms ?? inquiry.asked_ms };
}

/** The gates that the round waits for. */
export function unanswered(record: ReleaseRecord): readonly string[] {
  const { inquiry } = record;
  if (!inquiry?.open) return [];
  return outerGates(record.gates).filter((gate) => !Object.hasOwn(inquiry.answers, gate));
}

/** The record with the answers that have come in; null if none is new. `answers` is by key. */
export function takeAnswers(
  record: ReleaseRecord,
  answers: Readonly<Record<string, GateAnswer>>,
): ReleaseRecord | null {
  const { inquiry } = record;
  if (!inquiry) return null;
  const found = unanswered(record).flatMap((gate) => {
    const answer = own(answers, questionKey(record, gate, inquiry.n));
    return answer ? [[gate, answer] as const] : [];
  });
  if (found.length === 0) return null;
  return {
    ...record,
    inquiry: { ...inquiry, answers: { ...inquiry.answers, ...Object.fromEntries(found) } },
  };
}

/** What an answered round comes to: its weightiest answer. Null while it is not open, or not answered. */
export function answerOf(record: ReleaseRecord): AnswerVerdict | null {
  if (!record.inquiry?.open || unanswered(record).length > 0) return null;
  const given = Object.values(record.inquiry.answers).map(({ verdict }) => verdict);
  return ANSWER_VERDICTS.find((one) => given.includes(one)) ?? 'pass';
}

/** True if a soak should ask again now. */
export function isDue(record: ReleaseRecord): boolean {
  if (outerGates(record.gates).length === 0 || unanswered(record).length > 0) return false;
  return record.observed_ms - (record.inquiry?.asked_ms ?? 0) >= record.gates.interval_ms;
}

/** What the end of a soak waits for after the answer `wait`; null once it is time to ask again. */
export function waitsAgain(record: ReleaseRecord, now: number): readonly string[] | null {
  const { inquiry, gates } = record;
  const left = gates.interval_ms - Math.abs(now - Date.parse(inquiry?.at ?? ''));
  if (!(left > 0)) return null;
  const asked = `asked again in ${formatDuration(Math.ceil(left / 1_000) * 1_000)}`;
  return readOuter(record)
    .filter(({ verdict }) => verdict === 'wait')
    .map((one) => `${spellOuter(one)} (${asked})`);
}

/** Every outer gate, as it was answered in the newest round. */
export function readOuter({ gates, inquiry }: ReleaseRecord): readonly OuterReading[] {
  const read = (gate: string): Omit<OuterReading, 'limit' | 'gate'> => {
    const answer = inquiry && Object.hasOwn(inquiry.answers, gate) ? inquiry.answers[gate] : undefined;
    if (answer) return { verdict: answer.verdict, value: answer.value, message: answer.message };
    return { verdict: 'inconclusive', value: null, message: inquiry?.open ? 'being asked' : 'not asked yet' };
  };
  return [
    ...gates.webhooks.map(({ name }) => ({
      gate: `webhook:${name}`,
      ...read(`webhook:${name}`),
      limit: null,
    })),
    ...gates.prometheus.map(({ name, max, min }) => {
      const answered = read(`prometheus:${name}`);
      const tooLow = min !== null && answered.value !== null && answered.value < min;
      return { gate: `prometheus:${name}`, ...answered, limit: tooLow ? min : (max ?? min) };
    }),
  ];
}

/** A reading as a sentence. */
export function spellOuter({ gate, verdict, value, limit, message }: OuterReading): string {
  const read = value === null ? '' : ` ${String(value)}${limit === null ? '' : `, limit ${String(limit)}`}`;
  return `${gate}${read}: ${verdict}${message === '' ? '' : ` (${message})`}`;
}
