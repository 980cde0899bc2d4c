import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

/** A terminal for tests of commands: keeps what is printed, and is interrupted by hand. */
export function createRecordingTerminal(
  parts: {
    readonly env?: Readonly<Record<string, string>>;
    readonly tty?: boolean;
    readonly columns?: number;
    /** Called at each pause. */
    readonly paused?: () => void;
  } = {},
) {
  const interrupt = new AbortController();
  let stdout = '';
  let stderr = '';
  return {
    env: parts.env ?? {},
    user: 'ann',
    tty: parts.tty ?? false,
    columns: () => parts.columns ?? 200,
    out: (text: string): void => {
      stdout += text;
    },
    err: (text: string): void => {
      stderr += text;
    },
    monotonic: () => performance.now(),
    pause: (ms: number, signal: AbortSignal) => {
      parts.paused?.();
      return pause(Math.min(ms, 20), undefined, { signal }).catch(() => undefined);
    },
    uuid: () => randomUUID(),
    interrupted: () => interrupt.signal,
    interrupt: (): void => {
      interrupt.abort();
    },
    stdout: () => stdout,
    stderr: () => stderr,
  };
}
