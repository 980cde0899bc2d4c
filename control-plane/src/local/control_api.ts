import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';

/** The few questions that a local Ebbgate asks its control API. */
export interface ControlApi {
  /** The answer's JSON; throws with the API's own words otherwise. */
  call(method: 'GET' | 'PATCH' | 'POST', path: string, body?: object): Promise<unknown>;
}

/** Speaks to `api` with `token`, if there is one. A question takes at most `timeoutMs`. */
export function controlApi(api: string, token: string | undefined, timeoutMs = 5_000): ControlApi {
  return {
    async call(method, path, body) {
      const answer = await request(api + path, {
        method,
        headers: {
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...(body ? { 'content-type': 'application/json' } : {}),
          ...(method === 'PATCH' ? { 'if-match': '*' } : {}),
        },
        body: body ? JSON.stringify(body) : null,
        signal: AbortSignal.timeout(timeoutMs),
      });
      const text = await answer.body.text();
      if (answer.statusCode >= 300)
        throw new Error(`${method} ${path}: ${String(answer.statusCode)} ${text}`);
      return JSON.parse(text) as unknown;
    },
  };
}

/** Repeats `attempt` until it succeeds; after `ms` or when `signal` aborts it throws the last failure. */
export async function eventually<T>(ms: number, signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || performance.now() > deadline) throw error;
      await pause(100, undefined, { signal }).catch(() => undefined);
    }
  }
}
