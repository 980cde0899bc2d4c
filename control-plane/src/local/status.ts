import { controlApi } from './control_api.js';
import { lives } from './processes.js';
import { readEndpoints, readState, type Endpoints } from './state.js';

/** How the Ebbgate of a directory is at this moment. */
export interface LocalStatus {
  /** `crashed`: its `up` was killed; `down` or the next `up` cleans up. */
  readonly state: 'up' | 'starting' | 'crashed' | 'down';
  readonly supervisor: number | null;
  readonly processes: readonly { readonly name: string; readonly pid: number; readonly running: boolean }[];
  readonly endpoints: Endpoints | null;
  /** The control API's own words when it is not ready; null when it is, or when nothing is up. */
  readonly problem: string | null;
}

/** Reads the state of `dir` and asks its control API whether it is ready. */
export async function status(dir: string, token: string | undefined): Promise<LocalStatus> {
  const state = readState(dir);
  if (state === undefined)
    return { state: 'down', supervisor: null, processes: [], endpoints: null, problem: null };
  const alive = lives(state.supervisor);
  const endpoints = readEndpoints(dir) ?? null;
  return {
    state: alive ? (state.ready ? 'up' : 'starting') : 'crashed',
    supervisor: alive ? state.supervisor.pid : null,
    processes: state.processes.map((record) => ({
      name: record.name,
      pid: record.pid,
      running: lives(record),
    })),
    endpoints,
    problem: alive && endpoints !== null ? await notReady(endpoints.apis, token) : null,
  };
}

async function notReady(apis: readonly string[], token: string | undefined): Promise<string | null> {
  try {
    await controlApi(apis, token).call('GET', '/readyz');
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
