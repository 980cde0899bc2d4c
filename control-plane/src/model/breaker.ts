import { percent, text, whole } from './rules.js';
import type { Members } from './shape.js';

/*
 * The breaker of a service: when the whole service is left alone because its requests fail, with all their tries, and what clients
 * get meanwhile. The gateway's own reader of these settings is lua/ebbgate/core/breaker.lua.
 */

/** As it is published: without what equals its default. */
export interface Breaker {
  /** 0 = it never opens by itself. */
  readonly failure_percent?: number;
  readonly min_requests?: number;
  readonly window_ms?: number;
  readonly fail_statuses?: readonly number[];
  /** The service that answers while it is open. */
  readonly fallback?: string;
  /** What is answered while it is open. */
  readonly answer?: BreakerAnswer;
}

/** A text in place of an answer. */
export interface BreakerAnswer {
  readonly status?: number;
  readonly content_type?: string;
  readonly body?: string;
}

/** What an operator may say of a breaker. */
export const BREAKER_STATES = ['open', 'closed'] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

/** Whether a service is left alone. */
export interface BreakerResource {
  /** What an operator says; null = each gateway decides by itself. */
  readonly forced: {
    readonly state: BreakerState;
    readonly by: string;
    readonly reason: string;
    readonly since: string;
    readonly until: string | null;
  } | null;
  /** The gateways on which it is open, and why. */
  readonly gateways: readonly {
    readonly gateway: string;
    readonly state: string;
    readonly reason: string;
    readonly since: string;
  }[];
}

const ANSWER: Members = {
  status: { rule: whole(200, 599), fallback: 503, always: true, doc: 'its status' },
  content_type: {
    rule: text(/^[\x20-\x7e]*$/, 128, 'at most {most} characters of ASCII', {
      good: ['application/json', 'text/html; charset=utf-8', ''],
      bad: ['a\nb', 'é', 'a\tb'],
    }),
    fallback: 'text/plain',
    doc: 'its Content-Type',
  },
  body: {
    rule: text(
      /^[\t\n\r\x20-\x7e]*$/,
      4_096,
      'at most {most} characters of ASCII; JSON and HTML can escape all others',
      {
        good: ['{"items": []}', '', 'a\tb\r\n'],
        bad: ['é', 'a\x00', 'a\x7f'],
      },
    ),
    fallback: '',
    doc: 'its body',
  },
};

/** The members of `breaker`. */
export const BREAKER: Members = {
  failure_percent: {
    rule: percent(100),
    fallback: 0,
    doc: 'if so many of the requests in `window_ms` failed, with all their tries, it opens; 0 = never',
  },
  min_requests: {
    rule: whole(1, 100_000),
    fallback: 20,
    doc: 'in a window with fewer requests the percentage says nothing',
  },
  window_ms: { rule: whole(1_000, 60_000), fallback: 10_000, doc: 'the rolling window' },
  fail_statuses: {
    rule: { kind: 'list', of: whole(400, 599), most: 200 },
    fallback: [500, 502, 503, 504],
    doc: 'answers of instances that count as a failure of the service',
  },
  fallback: {
    rule: text(/^(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)?$/, 128, 'the name of a service', {
      good: ['shop-static', 'a', ''],
      bad: ['Shop', '-a', 'a-', 'a b', 'a/b'],
    }),
    fallback: '',
    doc: 'the service that answers while it is open, and while no instance takes requests; empty = none',
  },
  answer: {
    rule: { kind: 'object', members: ANSWER },
    fallback: null,
    doc: 'what is answered then, where no other service answers; none = 503',
  },
};
