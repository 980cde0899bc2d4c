import type { OperationResource } from '../model/resources.js';
import { pairs } from './table.js';
import { safe, type Terminal } from './terminal.js';

/** Shows the progress of an operation. The last state stays on the screen. */
export interface Progress {
  readonly show: (operation: OperationResource) => void;
  readonly note: (text: string) => void;
}

type Target = OperationResource['instances'][number];

/** The open requests of an instance at every gateway. */
function openRequests(one: Target): string {
  const state = one.result ?? (one.drained ? 'drained' : 'draining');
  return safe(`${one.service}/${one.id}  ${state}  in-flight ${pairs(one.in_flight) || '-'}`);
}

/** The same with what it waits for, in one line. */
function openAndWaits(one: Target): string {
  return one.waiting_for.length === 0
    ? openRequests(one)
    : safe(`${openRequests(one)}  waits for: ${one.waiting_for.join('; ')}`);
}

/** Redraws in place on a terminal; elsewhere one line per change of an instance. */
export function createProgress(terminal: Terminal): Progress {
  return terminal.tty ? live(terminal) : plain(terminal);
}

/** For output that a program reads: only notes, on stderr. */
export function createSilence(terminal: Terminal): Progress {
  return {
    show: () => undefined,
    note: (text) => {
      terminal.err(`${text}\n`);
    },
  };
}

function plain(terminal: Terminal): Progress {
  const before = new Map<number, string>();
  return {
    show: (operation) => {
      operation.instances.map(openAndWaits).forEach((line, i) => {
        if (before.get(i) !== line) terminal.out(`${line}\n`);
        before.set(i, line);
      });
    },
    note: (text) => {
      terminal.err(`${text}\n`);
    },
  };
}

function live(terminal: Terminal): Progress {
  let drawn = 0;
  let before = '';
  return {
    show: (operation) => {
      const lines = [
        `operation ${operation.id}: ${operation.result ?? operation.state}${deadline(operation)}`,
        ...operation.instances.map((one) => `  ${openRequests(one)}`),
        ...operation.waiting_for.map((one) => `  waits for: ${safe(one)}`),
      ].map((line) => line.slice(0, Math.max(20, terminal.columns() - 1)));
      const text = lines.map((line) => `${line}\n`).join('');
      if (text === before) return;
      terminal.out(`${drawn === 0 ? '' : `\x1b[${String(drawn)}A\x1b[0J`}${text}`);
      drawn = lines.length;
      before = text;
    },
    note: (text) => {
      terminal.err(`${text}\n`);
      drawn = 0; // the cursor is below what was drawn; the next state starts again
      before = '';
    },
  };
}

function deadline(operation: OperationResource): string {
  return operation.deadline === null || operation.state === 'done'
    ? ''
    : ` (until ${operation.deadline}, then ${operation.on_timeout})`;
}
