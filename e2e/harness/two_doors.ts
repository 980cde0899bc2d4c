import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';

/** What clients saw who come through whatever gateway answers. */
export interface TwoDoors extends AsyncDisposable {
  total(): number;
  /** How often a gateway gave no answer, and the next one was asked. */
  retried(): number;
  /** What was answered by none of them, or with another status than 200: why. */
  readonly failed: readonly string[];
  stop(): Promise<void>;
}

/**
 * GETs through gateways in turn, some `rate` a second, as a load balancer sends them: what a gateway leaves without an answer goes to
 * the next one.
 */
export function throughTwoDoors(urls: readonly string[], rate = 100, clients = 4): TwoDoors {
  const failed: string[] = [];
  let [total, retried, isStopped] = [0, 0, false];
  const send = async (turn: number): Promise<void> => {
    total += 1;
    for (let tries = 0; ; tries += 1) {
      try {
        const answer = await request(urls[(turn + tries) % urls.length]!, { headersTimeout: 10_000 });
        await answer.body.dump();
        if (answer.statusCode !== 200) failed.push(String(answer.statusCode));
        return;
      } catch (error) {
        if (tries === urls.length - 1) {
          failed.push(String(error));
          return;
        }
        retried += 1;
      }
    }
  };
  const running = Array.from({ length: clients }, async (_, client) => {
    for (let turn = client; !isStopped; turn += 1) {
      await send(turn);
      await pause((1_000 * clients) / rate);
    }
  });
  const stop = async (): Promise<void> => {
    isStopped = true;
    await Promise.all(running);
  };
  return { failed, total: () => total, retried: () => retried, stop, [Symbol.asyncDispose]: stop };
}
