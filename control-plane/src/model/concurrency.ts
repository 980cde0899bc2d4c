import { text, whole } from './rules.js';
import type { Members } from './shape.js';

/* How many requests may be open: the gateway's own reader of these settings is lua/ebbgate/worker/concurrency.lua. */

export const PRIORITIES = ['critical', 'default', 'sheddable'] as const;

/** As it is published: without what equals its default. Each gateway counts for itself. */
export interface Concurrency {
  /** 0 = any number. */
  readonly max_per_instance?: number;
  /** 0 = any number. */
  readonly max_per_service?: number;
  /** How many may wait for a place; of critical requests as many again. 0 = none. */
  readonly max_pending?: number;
  readonly pending_ms?: number;
  readonly priority?: (typeof PRIORITIES)[number];
  /** The header in which trusted proxies say the priority of a request; absent = none. */
  readonly priority_header?: string;
}

/** The members of `concurrency`. */
export const CONCURRENCY: Members = {
  max_per_instance: {
    rule: whole(0, 1_000_000),
    fallback: 0,
    doc: 'requests that one instance may have open, from each gateway; one that is full is passed over. 0 = any number',
  },
  max_per_service: {
    rule: whole(0, 1_000_000),
    fallback: 0,
    doc: 'requests that the service may have open, from each gateway; 0 = any number',
  },
  max_pending: {
    rule: whole(0, 100_000),
    fallback: 0,
    doc: 'how many may wait for a place, and as many critical ones beside them; 0 = none waits',
  },
  pending_ms: { rule: whole(1, 60_000), fallback: 1_000, doc: 'how long one may wait' },
  priority: {
    rule: { kind: 'one_of', values: PRIORITIES },
    fallback: 'default',
    doc: '`critical` requests are served before others that wait, `sheddable` ones never wait',
  },
  priority_header: {
    rule: text(/^[A-Za-z0-9-]+$/, 64, 'the name of a header: letters, digits and hyphens, at most {most}', {
      good: ['X-Priority', 'priority', 'a'],
      bad: ['', 'X_Priority', 'a b', 'é'],
    }),
    fallback: null,
    doc: 'the header in which trusted proxies say the priority of a request; that of anybody else is ignored',
  },
};
