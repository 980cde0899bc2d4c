import type { Log } from '../model/ports.js';

/** A line as it was logged. */
export interface LogLine {
  readonly level: keyof Log;
  readonly fields: object;
  readonly message: string;
}

/** A log that keeps its lines, oldest first. */
export interface RecordingLog extends Log {
  readonly lines: readonly LogLine[];
}

/** For tests that look at what was logged, and for those that only need it out of the way. */
export function createRecordingLog(): RecordingLog {
  const lines: LogLine[] = [];
  const at =
    (level: keyof Log) =>
    (fields: object, message: string): void => {
      lines.push({ level, fields, message });
    };
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
