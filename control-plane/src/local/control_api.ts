import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';

/** The few questions that a local Ebbgate asks its control API. */
export interface ControlApi {
  /** The answer's JSON; throws with the API's own words otherwise. */
  call(method: 'GET' | 'PATCH' | 'POST', path: string, body?: object): Promise<unknown>;
}

/**
 * Speaks to the first controller of `apis` that answers and can, with `token`, if there is one. A question takes at most `timeoutMs`
 * for each. What cannot be done twice is not asked here.
 */
export function controlApi(
  apis: readonly string[],
  token: string | undefined,
  timeoutMs = 5_000,
): ControlApi {
  const ask = askAt(token, timeoutMs);
  return {
    async call(method, path, body) {
      let failure: unknown;
      for (const api of apis)
        try {
          return await ask(api, method, path, body);
        } catch (error) {
          failure ??= error;
        }
      throw failure;
    },
  };
}

type Ask = (api: string, ...question: Parameters<ControlApi['call']>) => Promise<unknown>;

function askAt(token: string | undefined, timeoutMs: number): Ask {
  return async (api, method, path, body) => {
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
    if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${String(answer.statusCode)} ${text}`);
    return JSON.parse(text) as unknown;
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
