import type { ReleaseRecord } from '../../model/release.js';
import { fillQuery } from './answers.js';
import { questionKey, unanswered } from './inquiry.js';

/** One question to a gate outside. The same key always comes with the same question. */
export type Question =
  | {
      readonly kind: 'webhook';
      readonly key: string;
      readonly url: string;
      readonly timeout_ms: number;
      readonly body: object;
    }
  | {
      readonly kind: 'prometheus';
      readonly key: string;
      readonly query: string;
      readonly max: number | null;
      readonly min: number | null;
    };

/** What a written record wants to know, and was not answered yet. */
export function questionsOf(record: ReleaseRecord): readonly Question[] {
  const { inquiry, gates, service, stable, target } = record;
  const open = new Set(unanswered(record));
  if (!inquiry || open.size === 0 || record.state !== 'progressing') return [];
  const keyOf = (gate: string): string => questionKey(record, gate, inquiry.n);
  const body = {
    release: record.id,
    service,
    step: record.step,
    attempt: record.attempt,
    stable,
    target,
    shares: record.shares,
    gates: inquiry.readings,
    at: inquiry.at,
  };
  return [
    ...gates.webhooks.map(({ name, url, timeout_ms }) => ({
      gate: `webhook:${name}`,
      question: { kind: 'webhook', key: keyOf(`webhook:${name}`), url, timeout_ms, body } as const,
    })),
    ...gates.prometheus.map(({ name, query, max, min }) => {
      const text = fillQuery(query, { service, stable, target });
      const key = keyOf(`prometheus:${name}`);
      return {
        gate: `prometheus:${name}`,
        question: { kind: 'prometheus', key, query: text, max, min } as const,
      };
    }),
  ].flatMap(({ gate, question }) => (open.has(gate) ? [question] : []));
}
