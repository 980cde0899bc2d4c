import type {
  Convergence,
  GatewayResource,
  InstanceResource,
  OperationResource,
} from '../model/resources.js';
import { mayPass, path, type ApiClient } from './client.js';
import { CliFailure, EXIT, Refused } from './failure.js';
import type { Progress } from './progress.js';
import type { Terminal } from './terminal.js';

/** Long where only the end matters, short where every state is shown. */
const SLICE_MS = 30_000;
const SHOWN_SLICE_MS = 1_000;
const RETRY_MS = 500;
/** Without a time-out, an API that stays away this long ends the wait. */
const AWAY_MS = 5 * 60_000;

export interface FollowOptions {
  readonly client: ApiClient;
  readonly terminal: Terminal;
  readonly note: (text: string) => void;
  /** Null = until it is done. */
  readonly timeoutMs: number | null;
  /** How to go on after an end without a result. */
  readonly resume: string;
}

/** Asks until `done`, through restarts of the API. Ends by time-out (4), by an API that stays away (7), or by Ctrl-C. */
export async function follow<T>(
  options: FollowOptions,
  ask: (waitMs: number, signal: AbortSignal) => Promise<T>,
  done: (value: T) => boolean,
  sliceMs: number,
): Promise<T> {
  const { terminal, timeoutMs } = options;
  const signal = terminal.interrupted();
  const start = terminal.monotonic();
  const left = (): number => (timeoutMs === null ? Infinity : start + timeoutMs - terminal.monotonic());
  let awaySince: number | null = null;
  let slice = 0; // the first answer comes at once, so that there is something to show
  let waiting: readonly string[] = [];
  for (;;) {
    try {
      const value = await ask(Math.max(0, Math.min(slice, Math.floor(left()))), signal);
      if (awaySince !== null) options.note('the control API is back');
      awaySince = null;
      slice = sliceMs;
      if (done(value)) return value;
      waiting = waits(value);
    } catch (error) {
      if (signal.aborted) throw interrupted(options);
      if (!mayPass(error)) throw error;
      if (awaySince === null) options.note(`${error.message}; trying again${until(timeoutMs)}`);
      awaySince ??= terminal.monotonic();
      slice = 0;
      if (timeoutMs === null && terminal.monotonic() - awaySince > AWAY_MS) throw error;
      if (left() > 0) await terminal.pause(RETRY_MS, signal);
    }
    if (signal.aborted) throw interrupted(options);
    if (left() <= 0) throw timedOut(options, waiting, awaySince !== null);
  }
}

/** Follows an operation to its end, showing every state. */
export async function followOperation(
  options: FollowOptions,
  id: string,
  progress: Progress,
  shown: boolean,
): Promise<OperationResource> {
  return follow(
    options,
    async (waitMs, signal) => {
      const { body } = await options.client.get<OperationResource>(path('operations', id), {
        waitMs,
        signal,
      });
      progress.show(body);
      return body;
    },
    (operation) => operation.state === 'done',
    shown ? SHOWN_SLICE_MS : SLICE_MS,
  );
}

/** Waits until every gateway follows the published set of `service`. */
export async function followConvergence(options: FollowOptions, service: string): Promise<Convergence> {
  return follow(
    options,
    async (waitMs, signal) =>
      (await options.client.get<Convergence>(path('services', service, 'convergence'), { waitMs, signal }))
        .body,
    (state) => state.converged,
    SLICE_MS,
  );
}

/** Waits until an instance that is already being drained has no open request any more. */
export async function followDrained(
  options: FollowOptions,
  service: string,
  id: string,
): Promise<InstanceResource> {
  return follow(
    options,
    async (_waitMs, signal) => {
      const { body } = await options.client.get<InstanceResource>(
        path('services', service, 'instances', id),
        {
          signal,
        },
      );
      if (body.drain === null)
        throw new CliFailure(EXIT.error, `${service}/${id} takes new requests, so it will never be drained`, [
          `next: ebbgate drain -s ${service} ${id}`,
        ]);
      if (!body.drain.drained) await options.terminal.pause(RETRY_MS, signal);
      return body;
    },
    (instance) => instance.drain?.drained === true,
    SLICE_MS,
  );
}

/** A gateway that is waited for; null = nobody has heard of it. */
interface AwaitedGateway {
  readonly gateway: GatewayResource | null;
  readonly waiting_for: readonly string[];
}

/**
 * Waits until a gateway is heard and follows everything that is published; with `notBoot`, until that is another start of
 * it than that one.
 */
export async function followGateway(
  options: FollowOptions,
  id: string,
  notBoot: string | null,
): Promise<GatewayResource> {
  const { gateway } = await follow<AwaitedGateway>(
    options,
    async (waitMs, signal) => {
      if (waitMs > 0) await options.terminal.pause(Math.min(RETRY_MS, waitMs), signal);
      const gateway = await gatewayOrNull(options.client, id, signal);
      return { gateway, waiting_for: gatewayWaits(id, gateway, notBoot) };
    },
    ({ waiting_for }) => waiting_for.length === 0,
    SHOWN_SLICE_MS,
  );
  if (gateway === null) throw new Error(`gateway ${id} was waited for, and is not there`);
  return gateway;
}

async function gatewayOrNull(
  client: ApiClient,
  id: string,
  signal: AbortSignal,
): Promise<GatewayResource | null> {
  try {
    return (await client.get<GatewayResource>(path('gateways', id), { signal })).body;
  } catch (error) {
    if (error instanceof Refused && error.problem.code === 'not_found') return null;
    throw error;
  }
}

function gatewayWaits(id: string, gateway: GatewayResource | null, notBoot: string | null): string[] {
  if (gateway === null) return [`gateway ${id} to be heard`];
  if (gateway.state !== 'live') return [`gateway ${id} to be heard: it is ${gateway.state}`];
  if (gateway.boot === null || gateway.boot === notBoot) return [`gateway ${id} to start again`];
  const rejected = gateway.rejected.map(
    ({ service, code }) => `gateway ${id}, which rejects ${service} (${code})`,
  );
  if (rejected.length > 0) return rejected;
  return gateway.behind === 0 ? [] : [`gateway ${id} to follow what is published`];
}

function waits(value: unknown): readonly string[] {
  if (typeof value !== 'object' || value === null) return [];
  if ('waiting_for' in value) return (value as OperationResource).waiting_for;
  if ('drain' in value) return (value as InstanceResource).drain?.waiting_for ?? [];
  if (!('converged' in value)) return [];
  return (value as Convergence).gateways
    .filter((gateway) => gateway.state !== 'acked')
    .map((gateway) => `gateway ${gateway.id} is ${gateway.state}`);
}

function until(timeoutMs: number | null): string {
  return timeoutMs === null ? '' : ' until the time-out';
}

function timedOut({ resume }: FollowOptions, waiting: readonly string[], isAway: boolean): CliFailure {
  return new CliFailure(
    EXIT.unproven,
    isAway
      ? 'time ran out while the control API was away; nothing is proven'
      : 'time ran out; nothing is proven',
    [...waiting.map((one) => `waits for: ${one}`), `next: ${resume}`],
  );
}

function interrupted({ resume }: FollowOptions): CliFailure {
  return new CliFailure(EXIT.interrupted, 'stopped watching; what was asked for goes on', [
    `next: ${resume}`,
  ]);
}
