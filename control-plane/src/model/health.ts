import { milliseconds, percent, text, whole } from './rules.js';
import type { Members } from './shape.js';

/* What takes an instance out, and what brings it back: the section `health` of a service's spec. */

const CHECK: Members = {
  type: {
    rule: { kind: 'one_of', values: ['http', 'tcp'] },
    fallback: 'http',
    always: true,
    doc: '`http` asks and checks the answer; `tcp` only connects',
  },
  path: {
    rule: text(
      /^\/[\x21-\x7e]*$/,
      1_024,
      'a path that starts with /, without white space, of at most {most} characters',
      { good: ['/', '/health?deep=1', '/a%20b~'], bad: ['', 'health', '/a b', '/a\nb', '/a\x7fb', '/é'] },
    ),
    fallback: '/',
    doc: 'what is asked for',
  },
  host: {
    rule: text(/^[A-Za-z0-9._:[\]-]*$/, 255, 'a host name or address of at most {most} characters', {
      good: ['shop.internal', '', '[fd00::7]:80'],
      bad: ['a b', 'a/b', 'a\r\nb', 'é'],
    }),
    fallback: '',
    doc: "the Host header; empty = the instance's address",
  },
  port: { rule: whole(0, 65_535), fallback: 0, doc: "0 = the instance's port" },
  interval_ms: { rule: milliseconds(100), fallback: 5_000, doc: 'how often, with jitter' },
  timeout_ms: {
    rule: milliseconds(10),
    fallback: 2_000,
    doc: 'no answer within this is a failure; shorter than the interval',
  },
  rise: { rule: whole(1, 100), fallback: 2, doc: 'successes in a row until it counts as well' },
  fall: { rule: whole(1, 100), fallback: 3, doc: 'failures in a row until it counts as failing' },
  statuses: {
    rule: { kind: 'list', of: { kind: 'range', min: 100, max: 599 }, most: 20 },
    fallback: [[200, 399]],
    doc: 'good answers, as ranges `[from, to]`',
  },
  body: {
    rule: text(/^[^\p{Cc}\p{Cs}]*$/u, 256, 'at most {most} characters without control characters', {
      good: ['é', '', 'a b', 'ok 🙂'],
      bad: ['a\nb', 'a\x7f', 'a\x85b'],
    }),
    fallback: '',
    doc: 'must occur in the first 64 KiB of the body; empty = any body',
  },
};

/** The members of `health`. */
export const HEALTH: Members = {
  max_fails: {
    rule: whole(0, 1_000),
    fallback: 3,
    always: true,
    doc: 'failures of requests within `fail_timeout_ms` that take an instance out; 0 = never',
  },
  fail_timeout_ms: {
    rule: milliseconds(1),
    fallback: 10_000,
    always: true,
    doc: 'the time in which they count, and how long it stays out',
  },
  fail_statuses: {
    rule: { kind: 'list', of: whole(400, 599), most: 200 },
    fallback: [],
    doc: 'answers that count as a failure',
  },
  consecutive_fails: {
    rule: whole(0, 1_000),
    fallback: 0,
    doc: 'failures in a row that take an instance out; 0 = never',
  },
  failure_percent: {
    rule: percent(100),
    fallback: 0,
    doc: 'if so many of its requests in `window_ms` failed, it is taken out; 0 = never',
  },
  slow_percent: {
    rule: percent(100),
    fallback: 0,
    doc: 'if so many of its requests in `window_ms` were slow, it is taken out; 0 = never',
  },
  slow_ms: {
    rule: milliseconds(0),
    fallback: 0,
    doc: 'a request whose answer begins later is slow; 0 = 3 times the median of the service, 10 ms at least',
  },
  min_requests: {
    rule: whole(1, 100_000),
    fallback: 20,
    doc: 'in a window with fewer requests the two percentages say nothing',
  },
  window_ms: { rule: whole(1_000, 60_000), fallback: 10_000, doc: 'the rolling window of both' },
  max_ejection_ms: {
    rule: milliseconds(0),
    fallback: 0,
    doc: 'the longest that it stays out before it is tried again; 0 = 5 minutes, or `fail_timeout_ms` if that is longer',
  },
  max_ejected_percent: {
    rule: percent(100),
    fallback: 50,
    doc: 'if more instances than this are out, health is ignored (panic); drained ones stay out',
  },
  slow_start_ms: {
    rule: milliseconds(0),
    fallback: 0,
    doc: 'how long a new, recovered or undrained instance takes to its full weight; 0 = none',
  },
  check: {
    rule: { kind: 'object', members: CHECK },
    fallback: null,
    doc: 'how each gateway probes each instance; none = it does not',
  },
};
