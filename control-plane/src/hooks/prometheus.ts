import type { Prometheus } from '../model/prometheus.js';
import type { Clock } from '../model/ports.js';
import { err } from '../model/result.js';
import { createHooks } from './hooks.js';

/** The Prometheus at `base`, like http://prometheus:9090; empty = none is offered. Bounded as hooks are: no redirects, a megabyte. */
export function createPrometheus(base: string, clock: Clock): Prometheus {
  const root = base.replace(/\/+$/, '');
  const hooks = createHooks({ prefixes: base === '' ? [] : [root], commands: '', path: '', clock });
  return {
    offered: base !== '',
    query: (promql, timeoutMs) => {
      if (base === '')
        return Promise.resolve(
          err({ kind: 'refused', reason: 'no Prometheus is offered: set EBBGATE_PROMETHEUS' }),
        );
      return hooks.get(
        `${root}/api/v1/query?${new URLSearchParams({ query: promql }).toString()}`,
        timeoutMs,
      );
    },
    start: () => hooks.start(),
    close: () => hooks.close(),
    [Symbol.asyncDispose]: () => hooks.close(),
  };
}
