import { once } from 'node:events';
import type { Response } from 'express';
import type { Clock } from '../model/ports.js';
import { Refusal } from './refusal.js';

/*
 * Server-sent events: a few long answers, bounded in number, each ended by its client, by its end, or by the API's.
 */

/** One event. Only what can be resumed after has an id. */
export interface SentEvent {
  readonly type: string;
  readonly id?: string;
  readonly data: unknown;
}

/** Sends an event; resolves once the client takes more. */
export type Send = (event: SentEvent) => Promise<void>;

/** What an answer that streams does until it ends. `signal` aborts when the client goes away or the API closes. */
export type Streaming = (send: Send, signal: AbortSignal) => Promise<void>;

const MOST_STREAMS = 100;
/** Proxies and clients take silence for death. */
const HEARTBEAT_MS = 15_000;
/** A client that takes nothing for so long is cut. */
const STUCK_MS = 30_000;

/** Counts the streams of one API. */
export class EventStreams {
  readonly #clock: Clock;
  readonly #heartbeatMs: number;
  #open = 0;

  constructor(clock: Clock, heartbeatMs = HEARTBEAT_MS) {
    this.#clock = clock;
    this.#heartbeatMs = heartbeatMs;
  }

  /** Answers with a stream and resolves when it has ended. Refuses before anything is sent when too many are open. */
  async serve(response: Response, signal: AbortSignal, streaming: Streaming): Promise<void> {
    if (this.#open >= MOST_STREAMS)
      throw new Refusal({
        code: 'too_many_streams',
        detail: `${String(MOST_STREAMS)} event streams are open, which is the most. Close one, or ask with wait.`,
      });
    this.#open += 1;
    const ended = new AbortController();
    const over = AbortSignal.any([signal, ended.signal]);
    response.status(200).set({
      'Content-Type': 'text/event-stream; charset=utf-8',
      'X-Accel-Buffering': 'no',
      Connection: 'close',
    });
    response.flushHeaders();
    const heartbeat = this.#clock.every(this.#heartbeatMs, () => {
      if (!response.writableNeedDrain) response.write(': still here\n\n');
    });
    try {
      await streaming((event) => this.#write(response, event, over), over);
    } finally {
      heartbeat.stop();
      ended.abort();
      this.#open -= 1;
      response.end();
    }
  }

  async #write(response: Response, { type, id, data }: SentEvent, signal: AbortSignal): Promise<void> {
    if (signal.aborted || response.destroyed) return;
    // JSON contains no raw line feed, so one data line is enough.
    const text = `event: ${type}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`;
    if (response.write(text)) return;
    const settled = new AbortController();
    const either = AbortSignal.any([signal, settled.signal]);
    const drained = once(response, 'drain', { signal: either }).then(
      () => true,
      () => true,
    );
    const stuck = this.#clock.sleep(STUCK_MS, either).then(() => either.aborted);
    const fine = await Promise.race([drained, stuck]);
    settled.abort();
    if (!fine) response.destroy();
  }
}
