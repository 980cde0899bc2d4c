import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lives, recordOf, sweep, type ProcessRecord } from './processes.js';

/** DIR/state.json: who runs here. It exists while an `up` runs, and after one that was killed. */
export interface UpState {
  readonly v: 1;
  readonly supervisor: ProcessRecord;
  /** True once everything was up. */
  readonly ready: boolean;
  readonly processes: readonly ProcessRecord[];
}

/** DIR/endpoints.json: where a local Ebbgate answers. */
export interface Endpoints {
  /** `http://127.0.0.1:8080`, … */
  readonly gateways: readonly string[];
  readonly gateway_admin: readonly string[];
  /** The control API of the first controller; each of them answers everything. */
  readonly api: string;
  /** Those of all controllers. */
  readonly apis: readonly string[];
  /** host:port */
  readonly zookeeper: string;
  /** host:port */
  readonly redis: string;
  /** The demo instances; `pid` is that of their registrar: SIGTERM lets the instance leave. */
  readonly instances: readonly { readonly id: string; readonly version: string; readonly pid: number }[];
}

const stateFile = (dir: string): string => join(dir, 'state.json');
const endpointsFile = (dir: string): string => join(dir, 'endpoints.json');

/** What runs or was left in `dir`; undefined if nothing does. */
export function readState(dir: string): UpState | undefined {
  return readJson(stateFile(dir)) as UpState | undefined;
}

/** The endpoints that are written in `dir`; undefined if nothing is up. */
export function readEndpoints(dir: string): Endpoints | undefined {
  return readJson(endpointsFile(dir)) as Endpoints | undefined;
}

/** Replaces the file in one step, so that a reader never meets half of it. */
export function writeEndpoints(dir: string, endpoints: Endpoints): void {
  replace(endpointsFile(dir), endpoints);
}

export function writeState(dir: string, state: UpState): void {
  replace(stateFile(dir), state);
}

/** Removes both files: nothing runs here any more. */
export function clearState(dir: string): void {
  rmSync(endpointsFile(dir), { force: true });
  rmSync(stateFile(dir), { force: true });
}

/**
 * Makes `dir` belong to process `pid`. One that lives there already is an error that names it; what a dead one left
 * running is ended first, which `onStale` hears.
 */
export async function claim(dir: string, pid: number, onStale: () => void): Promise<UpState> {
  mkdirSync(dir, { recursive: true });
  const supervisor = recordOf('ebbgate up', pid);
  if (supervisor === undefined) throw new Error(`there is no process ${String(pid)}`);
  const state: UpState = { v: 1, supervisor, ready: false, processes: [] };
  for (;;) {
    if (create(stateFile(dir), state)) return state;
    const before = readState(dir);
    if (before !== undefined && lives(before.supervisor))
      throw new Error(
        `an Ebbgate runs in ${dir} already (process ${String(before.supervisor.pid)}): ` +
          `stop it with \`npx ebbgate down --dir ${dir}\`, or give another --dir and --base-port`,
      );
    onStale();
    await sweep(dir, before?.processes ?? [], [pid]);
    clearState(dir);
  }
}

/** True if the file was not there and now contains all of `value`; never a half-written one. */
function create(file: string, value: object): boolean {
  const draft = writeDraft(file, value);
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    unlinkSync(draft);
  }
}

function replace(file: string, value: object): void {
  renameSync(writeDraft(file, value), file);
}

let drafts = 0;
function writeDraft(file: string, value: object): string {
  drafts += 1;
  const draft = `${file}.${String(performance.timeOrigin)}.${String(drafts)}`;
  writeFileSync(draft, `${JSON.stringify(value, undefined, 2)}\n`);
  return draft;
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
