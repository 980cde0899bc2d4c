import type { AnswerVerdict, GateAnswer, PrometheusGate } from '../../model/release_gates.js';
import { isObject } from '../../model/shape.js';

/*
 * What the answers of outer gates mean. Whatever is not understood is inconclusive, with the reason; never a pass.
 */

type Meaning = Omit<GateAnswer, 'at'>;

const SAID: Readonly<Record<string, AnswerVerdict>> = {
  continue: 'pass',
  wait: 'wait',
  abort: 'abort',
  complete: 'complete',
};
const MESSAGE_CHARACTERS = 300;

/** A gate that could not be asked, or whose answer says nothing. */
export function inconclusive(reason: string): Meaning {
  return { verdict: 'inconclusive', value: null, message: clean(reason) };
}

/** Reads `{verdict: 'continue' | 'wait' | 'abort' | 'complete', message?}`. */
export function readWebhook(answer: unknown): Meaning {
  if (!isObject(answer)) return inconclusive('answered no JSON object');
  const { verdict, message } = answer as { readonly verdict?: unknown; readonly message?: unknown };
  const known = typeof verdict === 'string' && Object.hasOwn(SAID, verdict) ? SAID[verdict] : undefined;
  if (!known) return inconclusive('its verdict is none of continue, wait, abort and complete');
  if (message !== undefined && message !== null && typeof message !== 'string')
    return inconclusive('its message is no text');
  return { verdict: known, value: null, message: clean(message ?? '') };
}

/** Reads an answer of Prometheus' API of instant queries: one sample, compared with the gate's limits. */
export function readPrometheus(answer: unknown, gate: Pick<PrometheusGate, 'max' | 'min'>): Meaning {
  const samples = samplesIn(answer);
  if (samples === null) return inconclusive('answered neither a vector nor a scalar');
  const [text, ...more] = samples;
  if (text === undefined) return inconclusive('the query gave no sample');
  if (more.length > 0)
    return inconclusive(`the query gave ${String(samples.length)} samples, and must give one: aggregate it`);
  const value = numberIn(text);
  if (Number.isNaN(value)) return inconclusive('the query gave NaN');
  const fails = (gate.max !== null && value > gate.max) || (gate.min !== null && value < gate.min);
  // JSON knows no infinity: it is reported, and still compared.
  const finite = Number.isFinite(value) ? value : null;
  return {
    verdict: fails ? 'fail' : 'pass',
    value: finite,
    message: finite === null ? `the sample is ${text}` : '',
  };
}

/** The values of the samples as they were written; null if it is no such answer. */
function samplesIn(answer: unknown): readonly string[] | null {
  const data = isObject(answer) && 'data' in answer ? answer.data : null;
  if (!isObject(data) || !('resultType' in data) || !('result' in data) || !Array.isArray(data.result))
    return null;
  const result: readonly unknown[] = data.result;
  const pairs: readonly unknown[] | null =
    data.resultType === 'scalar'
      ? [result]
      : data.resultType === 'vector'
        ? result.map((one) => (isObject(one) && 'value' in one ? one.value : null))
        : null;
  if (!pairs) return null;
  const texts = pairs.map((pair) => (Array.isArray(pair) ? (pair[1] as unknown) : null));
  return texts.every((text) => typeof text === 'string') ? texts : null;
}

function numberIn(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return text.trim() === '' ? NaN : Number(text);
}

/** One line without control characters, not too long. */
function clean(text: string): string {
  return text
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, MESSAGE_CHARACTERS);
}

const PLACEHOLDERS = ['service', 'stable', 'target'] as const;

/** The query with the release's names in it, escaped as within a string of PromQL in double or single quotes. */
export function fillQuery(
  query: string,
  values: Readonly<Record<(typeof PLACEHOLDERS)[number], string>>,
): string {
  return query.replace(
    /\{\{\s*(service|stable|target)\s*\}\}/g,
    (_all, name: (typeof PLACEHOLDERS)[number]) =>
      values[name].replace(/[\\"']/g, '\\$&').replace(/\n/g, '\\n'),
  );
}

/** What is in double braces and is no placeholder; null if nothing is. */
export function strangePlaceholder(query: string): string | null {
  const found = [...query.matchAll(/\{\{([^{}]*)\}\}/g)].map(([, name = '']) => name.trim());
  return found.find((name) => !PLACEHOLDERS.some((known) => known === name)) ?? null;
}
