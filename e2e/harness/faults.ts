import type { LocalProcess } from '../../control-plane/src/testkit.js';
import { childrenOf, exists, isStopped } from './process_tree.js';
import { until } from './until.js';

/** A real server that a scenario may freeze, kill and start again; its children go with it. */
export interface Breakable<P extends LocalProcess = LocalProcess> {
  /** The process that runs now; throws while there is none. */
  readonly process: P;
  running(): boolean;
  /** SIGSTOP to the process and its children; resolves once all of them are stopped. */
  freeze(): Promise<void>;
  /** SIGCONT. */
  thaw(): void;
  /** SIGKILL to its whole process group: nobody learns of it. */
  kill(): Promise<void>;
  /** Starts it where it was; `prepare` runs while it is down. Kills it first if it runs. */
  restart(prepare?: () => void | Promise<void>): Promise<void>;
  start(): Promise<void>;
  /** Gracefully; may be called in any state. */
  stop(): Promise<void>;
}

/** Makes `launch` breakable; nothing is started yet. The process must lead a process group of its own. */
export function breakable<P extends LocalProcess>(name: string, launch: () => Promise<P>): Breakable<P> {
  let current: P | null = null;
  const living = (): P => {
    if (current === null) throw new Error(`${name} does not run`);
    return current;
  };
  const signal = (pids: readonly number[], which: NodeJS.Signals): void => {
    for (const pid of pids) process.kill(pid, which);
  };
  const self: Breakable<P> = {
    get process() {
      return living();
    },
    running: () => current !== null,
    freeze: async () => {
      const pids = familyOf(living().pid);
      signal(pids, 'SIGSTOP');
      await until(`${name} is stopped`, () => pids.every((pid) => isStopped(pid)));
    },
    thaw: () => {
      signal(familyOf(living().pid).reverse(), 'SIGCONT');
    },
    kill: async () => {
      const { pid, exited } = living();
      const pids = familyOf(pid);
      process.kill(-pid, 'SIGKILL');
      await exited;
      current = null;
      // Its children are not ours to reap, and keep its port until they are gone.
      await until(`${name} is gone`, () => !pids.some(exists));
    },
    restart: async (prepare) => {
      if (current !== null) await self.kill();
      await prepare?.();
      await self.start();
    },
    start: async () => {
      if (current !== null) throw new Error(`${name} runs already`);
      current = await launch();
    },
    stop: async () => {
      const stopping = current;
      current = null;
      await stopping?.stop();
    },
  };
  return self;
}

/** A process and its direct children, parent first. */
function familyOf(pid: number): number[] {
  return [pid, ...childrenOf(pid)];
}
