import { backoffDelay, type BackoffRule } from '../model/backoff.js';
import type { Clock } from '../model/ports.js';
import type { LocalProcess } from './process.js';
import { killGroup, recordOf, type ProcessRecord } from './processes.js';

/** A server that is started again whenever it ends without a call of `stop`. */
export interface Supervised {
  readonly name: string;
  /** Of the process that runs now; undefined between an end and the next start. */
  record(): ProcessRecord | undefined;
  /** Ends it for good; may be called twice. */
  stop(): Promise<void>;
}

export interface SuperviseOptions {
  readonly name: string;
  readonly start: () => Promise<LocalProcess>;
  /** Called after every end and every start. */
  readonly onChange: () => void;
  readonly say: (line: string) => void;
  readonly clock: Pick<Clock, 'sleep'>;
}

const BACKOFF: BackoffRule = { first: 250, most: 5_000, jitter: 0 };

/** Starts it, and rejects if that first start fails; later failures are said and tried again, ever more slowly. */
export async function supervise(options: SuperviseOptions): Promise<Supervised> {
  const { name, say, onChange, clock } = options;
  const stopping = new AbortController();
  let current: LocalProcess | undefined;
  let record: ProcessRecord | undefined;
  const start = async (): Promise<void> => {
    current = await options.start();
    record = recordOf(name, current.pid);
    onChange();
  };
  const over = (): boolean => stopping.signal.aborted;
  const restart = async (): Promise<void> => {
    for (let failures = 0; !over(); failures += 1) {
      await clock.sleep(backoffDelay(failures, BACKOFF, 0), stopping.signal);
      if (over()) return;
      try {
        await start();
        say(`${name} runs again`);
        return;
      } catch (error) {
        say(`${name} could not be started again: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  };
  const watch = async (): Promise<void> => {
    while (current !== undefined) {
      const code = await current.exited;
      if (over()) return;
      say(
        `${name} ended by itself (${describe(current, code)}), its log is ${current.logFile}; starting it again`,
      );
      if (record !== undefined) killGroup(record); // workers may outlive their master and keep its port
      [current, record] = [undefined, undefined];
      onChange();
      await restart();
    }
  };
  await start();
  const watching = watch();
  return {
    name,
    record: () => record,
    async stop() {
      stopping.abort();
      await current?.stop();
      await watching;
      await current?.stop(); // a restart may have been under way
      if (record !== undefined) killGroup(record);
    },
  };
}

function describe({ child }: LocalProcess, code: number | null): string {
  return code === null ? `signal ${String(child.signalCode)}` : `exit code ${String(code)}`;
}
