import { startTraffic, type Traffic } from './traffic.js';

/** A stream of requests through each of several gateways, as one. */
export interface Streams extends AsyncDisposable {
  readonly streams: readonly Traffic[];
  total(): number;
  failed(): Traffic['failed'];
  /** How often each version has answered. */
  answeredBy(version: string): number;
  /** Ends them; resolves with what failed. */
  stop(): Promise<Traffic['failed']>;
}

/** Starts one stream for each URL. */
export function startStreams(
  urls: readonly string[],
  options: { readonly path?: string; readonly rate?: number; readonly resends?: boolean },
): Streams {
  const streams = urls.map((url) => startTraffic({ url, rate: 30, ...options }));
  const sum = (count: (one: Traffic) => number): number =>
    streams.reduce((total, one) => total + count(one), 0);
  const stop = async (): Promise<Traffic['failed']> => {
    await Promise.all(streams.map((one) => one.stop()));
    return streams.flatMap(({ failed }) => failed);
  };
  return {
    streams,
    total: () => sum((one) => one.total()),
    failed: () => streams.flatMap(({ failed }) => failed),
    answeredBy: (version) => sum(({ versions }) => versions.get(version) ?? 0),
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}
