import { setMaxListeners } from 'node:events';
import type { Pool } from 'undici';
import { systemClock } from '../clock.js';

/** Requests per second through each gateway, and for how long at most: nobody leaves a demo running by mistake. */
const RATE = 100;
const WORKERS = 8;
const MOST_MS = 10 * 60_000;

/** Requests to the demo service until it is stopped. */
export interface DemoTraffic {
  /** Waits for the answers that are due; resolves with what came, in one line. */
  stop(): Promise<string>;
}

/** Sends GETs through every gateway. */
export function startDemoTraffic(gateways: readonly string[]): DemoTraffic {
  const counts = new Map<string, number>();
  const bump = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  const stopped = new AbortController();
  setMaxListeners(0, stopped.signal); // one for each pause
  const over = (): boolean => stopped.signal.aborted || systemClock.monotonic() - started > MOST_MS;
  const started = systemClock.monotonic();
  const stream = async (url: string): Promise<void> => {
    const { Pool } = await import('undici');
    const pool = new Pool(url, { connections: WORKERS });
    let sent = 0;
    const worker = async (): Promise<void> => {
      while (!over()) {
        const early = started + (sent++ / RATE) * 1_000 - systemClock.monotonic();
        if (early > 1) await systemClock.sleep(early, stopped.signal);
        if (!over()) bump(await send(pool));
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
    await pool.close();
  };
  const done = Promise.all(gateways.map(stream));
  return {
    async stop() {
      stopped.abort();
      await done;
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      const parts = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
      return `requests: ${String(total)}; ${parts.map(([what, count]) => `${what} ${String(count)}`).join(', ')}`;
    },
  };
}

/** The version that answered, or what failed. */
async function send(pool: Pool): Promise<string> {
  try {
    const { statusCode, body } = await pool.request({ path: '/', method: 'GET' });
    const text = await body.text();
    if (statusCode !== 200) return `failed with ${String(statusCode)}`;
    return (JSON.parse(text) as { readonly version?: string }).version ?? 'unknown';
  } catch {
    return 'failed without an answer';
  }
}
