import type { Clock, Log, ProviderData, ProviderRegistration } from '../model/ports.js';
import { watchAcceptance, type Acceptance, type AskAcceptance } from './acceptance.js';
import type { Child } from './child.js';
import { waitDrained, type AskDrained } from './drain.js';
import { watchReadiness, type ReadinessRule } from './readiness.js';

export interface RegistrarOptions {
  /** What is registered; `ready` and `leaving` are added as things turn. */
  readonly data: ProviderData;
  readonly registration: ProviderRegistration;
  readonly ask: AskDrained;
  /** Asks whether the controller takes the registration. Absent: nobody is asked. */
  readonly accepted?:
    | {
        readonly ask: AskAcceptance;
        /** True: a refusal, or nothing but silence for `withinMs`, ends the run. */
        readonly required: boolean;
        readonly withinMs: number;
      }
    | undefined;
  /** Absent: ready from the start. */
  readonly readiness?:
    | { readonly probe: (signal: AbortSignal) => Promise<boolean>; readonly rule: ReadinessRule }
    | undefined;
  /** Starts the child; absent: nothing is run. Called once. */
  readonly startChild?: (() => Child) | undefined;
  /** From the start of leaving until the child is stopped, whatever is known by then. */
  readonly drainTimeoutMs: number;
  /** From SIGTERM to SIGKILL of the child. */
  readonly stopTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** How a run ends whose registration had to be accepted, and was refused or not answered. */
export const NOT_ACCEPTED = { refused: 5, unknown: 7 } as const;

/** How long a deregistration may take; after it the node goes with its session. */
const WITHDRAW_TIMEOUT_MS = 3_000;

/**
 * Registers one instance for as long as it runs, and lets it go without losing a request.
 *
 *   waiting     not registered: the readiness probe has not answered yet
 *   registered  the node is written with ready true or false, as the probe says
 *   leaving     `leaving: true` is written (or ZooKeeper is away); waits for the proof, the time-out or a second `stop`
 *   stopping    the child gets SIGTERM, then SIGKILL
 *   gone        the node is deleted, the session closed
 *
 * A child that ends by itself skips to gone: there is nothing left to drain.
 */
export class Registrar {
  readonly #options: RegistrarOptions;
  /** Aborted by the first `stop`: leave. */
  readonly #leave = new AbortController();
  /** Aborted by the second: do not wait for the drain. */
  readonly #hasten = new AbortController();
  /** Aborted by the third: do not wait for the child either. */
  readonly #force = new AbortController();
  /** True while a node may be in ZooKeeper. */
  #announced = false;
  #ready = true;
  #settleRegistered: () => void = () => undefined;
  readonly #registered = new Promise<void>((resolve) => (this.#settleRegistered = resolve));
  /** The controller listed it at least once since it was registered. */
  #accepted = false;
  /** The exit code of a run that ended for want of an acceptance. */
  #refusal: number | null = null;

  constructor(options: RegistrarOptions) {
    this.#options = options;
  }

  /** True once the controller has listed the instance; false too where nobody was asked. */
  get accepted(): boolean {
    return this.#accepted;
  }

  /** The first call lets the instance leave, the second skips the drain, the third kills the child. */
  stop(): void {
    const next = [this.#leave, this.#hasten, this.#force].find((step) => !step.signal.aborted);
    next?.abort();
  }

  /** Runs until stopped or until the child ends; resolves with the exit code to pass on. Called once. */
  async run(): Promise<number> {
    const { registration, startChild } = this.#options;
    const ended = new AbortController();
    const child = startChild?.();
    void child?.exited.then(() => {
      ended.abort();
    });
    try {
      await registration.start();
      const over = AbortSignal.any([this.#leave.signal, ended.signal]);
      const watching = this.#watchAcceptance(over);
      await this.#keepRegistered(over);
      await watching;
      const drains = !ended.signal.aborted && this.#announced && this.#refusal === null;
      if (drains) await this.#drain(ended.signal);
      // A dead child must lose its traffic at once; a living one serves until it was asked to stop.
      if (ended.signal.aborted) await this.#withdraw();
      const code = await this.#stopChild(child);
      await this.#withdraw();
      return this.#refusal ?? code;
    } catch (error) {
      await this.#stopChild(child); // misuse or a defect: leave no orphan behind
      throw error;
    } finally {
      await registration.close();
    }
  }

  async #keepRegistered(over: AbortSignal): Promise<void> {
    const { clock, readiness } = this.#options;
    if (readiness === undefined) await this.#announce(true, over);
    else
      await watchReadiness({
        ...readiness,
        clock,
        signal: over,
        onTurn: (ready) => this.#announce(ready, over),
      });
    await aborted(over);
  }

  /** From the registration on, until the controller has accepted it or the run is over. */
  async #watchAcceptance(over: AbortSignal): Promise<void> {
    const { accepted, clock, data, log } = this.#options;
    if (!accepted) return;
    await Promise.race([this.#registered, aborted(over)]);
    if (isAborted(over)) return;
    using late = clock.deadline(accepted.withinMs);
    const signal = accepted.required ? AbortSignal.any([over, late.signal]) : over;
    await watchAcceptance({
      ask: accepted.ask,
      clock,
      signal,
      onTurn: (acceptance) => {
        this.#accepted = acceptance.kind === 'accepted';
        reportAcceptance(log, data.id, acceptance);
        if (acceptance.kind === 'refused' && accepted.required) this.#giveUp(NOT_ACCEPTED.refused);
      },
    });
    if (this.#accepted || isAborted(over)) return;
    log.error({ instance: data.id, waited_ms: accepted.withinMs }, 'not accepted in time; leaving');
    this.#giveUp(NOT_ACCEPTED.unknown);
  }

  #giveUp(code: number): void {
    this.#refusal ??= code;
    this.#leave.abort();
  }

  async #announce(ready: boolean, over: AbortSignal): Promise<void> {
    const { data, registration, log } = this.#options;
    this.#announced = true;
    this.#ready = ready;
    try {
      await registration.set({ ...data, ready }, over);
      log.info({ instance: data.id, ready }, ready ? 'registered' : 'registered as not ready');
      this.#settleRegistered();
    } catch (error) {
      if (!over.aborted) throw error;
    }
  }

  async #drain(ended: AbortSignal): Promise<void> {
    const { clock, data, registration, ask, drainTimeoutMs, log } = this.#options;
    using late = clock.deadline(drainTimeoutMs);
    const signal = AbortSignal.any([late.signal, this.#hasten.signal, ended]);
    log.info({ instance: data.id, timeout_ms: drainTimeoutMs }, 'leaving: waiting for the drain');
    const reported = await registration.set({ ...data, ready: this.#ready, leaving: true }, signal).then(
      () => true,
      () => false,
    );
    const onWaiting = (waiting_for: readonly string[]): void => {
      log.info({ instance: data.id, waiting_for }, 'waiting');
    };
    const end = reported ? await waitDrained({ ask, clock, signal, onWaiting }) : 'unproven';
    if (end === 'drained') {
      log.info({ instance: data.id }, 'drained');
      return;
    }
    if (end === 'never_accepted') {
      log.warn(
        { instance: data.id },
        'the controller does not know this instance: there is nothing to wait for',
      );
      return;
    }
    const why = ended.aborted
      ? 'the command ended'
      : this.#hasten.signal.aborted
        ? 'asked to hurry'
        : reported
          ? 'the drain took too long'
          : 'ZooKeeper was away';
    log.warn({ instance: data.id, why }, 'leaving without a proof of the drain');
  }

  async #stopChild(child: Child | undefined): Promise<number> {
    if (child === undefined) return 0;
    const byItself = !this.#leave.signal.aborted;
    const code = await child.stop(this.#options.stopTimeoutMs, this.#force.signal);
    if (byItself)
      this.#options.log.warn({ instance: this.#options.data.id, code }, 'the command ended by itself');
    return code;
  }

  async #withdraw(): Promise<void> {
    if (!this.#announced) return;
    this.#announced = false;
    const { clock, data, registration, log } = this.#options;
    using late = clock.deadline(WITHDRAW_TIMEOUT_MS);
    try {
      await registration.withdraw(late.signal);
      log.info({ instance: data.id }, 'deregistered');
    } catch {
      log.warn({ instance: data.id }, 'not deregistered: ZooKeeper is away; the node goes with its session');
    }
  }
}

function reportAcceptance(log: Log, instance: string, acceptance: Acceptance): void {
  if (acceptance.kind === 'accepted') log.info({ instance }, 'accepted by the controller');
  else if (acceptance.kind === 'refused')
    log.error({ instance, problem: acceptance.problem }, 'refused by the controller');
  else log.warn({ instance, reason: acceptance.reason }, 'not known to be accepted');
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => {
      resolve();
    });
  });
}

/** Asked again after every await. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
