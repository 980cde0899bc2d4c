import { spelled } from '../model/texts.js';

/** What a command sees of the world it runs in; main.ts hands in the real one, tests one that records. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The login name. */
  readonly user: string;
  /** True if stdout is a terminal that can move its cursor. */
  readonly tty: boolean;
  readonly columns: () => number;
  /** Absent: nobody knows. */
  readonly rows?: () => number;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Milliseconds that only grow. */
  readonly monotonic: () => number;
  /** Ends early, without rejecting, when `signal` aborts. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly uuid: () => string;
  /** Aborts at Ctrl-C or SIGTERM. Only a command that calls this takes them over. */
  readonly interrupted: () => AbortSignal;
}

/** Control characters and turned directions shown, not obeyed: instances and people choose some of what is printed. */
export function safe(text: string): string {
  const shown = text.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return spelled(shown);
}
