import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { ReleaseResource } from '../model/release_resources.js';
import type { ReleaseOutcome } from '../model/release_plane.js';
import { checkName } from '../model/names.js';
import {
  demoMembers,
  startDemo,
  stopDemo,
  upgradeDemo,
  type DemoMember,
  type DemoPlace,
} from '../local/demo_instances.js';
import { readEndpoints } from '../local/state.js';
import { DEMO_SERVICE } from '../local/demo_names.js';
import { createClient, mayPass, path, type ApiClient } from './client.js';
import { startDemoTraffic } from './demo_traffic.js';
import { CliFailure, EXIT } from './failure.js';
import { watchToEnd } from './release_watch.js';
import type { Terminal } from './terminal.js';

interface DemoFlags {
  readonly dir: string;
  readonly bad?: boolean;
}

/** The steps of the demo: short, because its traffic is dense. */
const STEPS = [{ weight: 20 }, { pause: '5s' }, { weight: 50 }, { pause: '5s' }, { weight: 100 }];
const STEPS_TEXT = '20 %, 5 s, 50 %, 5 s, 100 %';
/** A process that has just started is slow, and a busy machine slower: that is no fault of the version. */
const GATES = { min_samples: 50, latency: { slack_ms: 500, ratio: 2 } };
const INSTANCES = 2;
/** How often the hands of `upgrade` look what they are asked for. */
const LOOK_MS = 300;

/** `ebbgate demo canary|upgrade|stop`: releases to look at, on the Ebbgate that `up` started. */
export function addDemo(
  demo: Command,
  terminal: Terminal,
  options: { readonly dir: string; readonly ebbgate: () => readonly [string, ...string[]] },
): void {
  const add = (name: string, text: string): Command =>
    demo.command(`${name} <VERSION>`).description(text).option('--dir <DIR>', 'as given to up', options.dir);
  const placeOf = ({ dir }: DemoFlags): DemoPlace => findPlace(resolve(dir), options.ebbgate(), terminal);
  add('canary', `two instances of VERSION beside the others, traffic, and a release to it: ${STEPS_TEXT}`)
    .option('--bad', 'its instances fail every request')
    .action(async (version: string, flags: DemoFlags) => {
      await canary(terminal, placeOf(flags), named(version), flags.bad === true);
    });
  add('upgrade', 'traffic, and a release of every instance to VERSION in place, one after the other').action(
    async (version: string, flags: DemoFlags) => {
      await upgrade(terminal, placeOf(flags), named(version));
    },
  );
  add('stop', 'let the instances of VERSION leave').action(async (version: string, flags: DemoFlags) => {
    const place = placeOf(flags);
    const members = demoMembers(place.dir, DEMO_SERVICE).filter((one) => one.version === version);
    if (members.length === 0) throw new CliFailure(EXIT.error, `no demo instance of ${version} runs`);
    await letGo(terminal, members);
  });
}

function named(version: string): string {
  const checked = checkName('version', version, 'VERSION');
  if (checked.ok) return version;
  throw new CliFailure(EXIT.usage, checked.error.message);
}

function findPlace(dir: string, ebbgate: readonly [string, ...string[]], { env }: Terminal): DemoPlace {
  const endpoints = readEndpoints(dir);
  if (endpoints) return { dir: realpathSync(dir), endpoints, ebbgate, env };
  throw new CliFailure(EXIT.error, `nothing runs in ${dir}`, ['next: npm start, or give its --dir']);
}

/** The release first, so that its instances get nothing until its first step; then they start. */
async function canary(terminal: Terminal, place: DemoPlace, version: string, bad: boolean): Promise<void> {
  const say = sayTo(terminal);
  const client = createClient({ api: place.endpoints.apis.join(',') }, terminal);
  const reason = bad ? 'a demo that fails' : 'a demo';
  // Two instances are to take over from three.
  const body = { target: version, steps: STEPS, gates: GATES, min_ready: '50%', reason };
  const begun = await client.post<ReleaseOutcome>(path('services', DEMO_SERVICE, 'releases'), body);
  const { id } = begun.body.release;
  say(`release ${id}: ${begun.body.release.stable} → ${version} by ${STEPS_TEXT}`);
  let members: readonly DemoMember[] = [];
  const traffic = startDemoTraffic(place.endpoints.gateways);
  try {
    members = await startDemo(place, { service: DEMO_SERVICE, version, count: INSTANCES, bad });
    say(`instances of ${version}: ${members.map((one) => one.id).join(' ')}`);
    await watchToEnd(terminal, client, { output: 'table' }, id);
    say(`${version} serves alone. The instances of ${begun.body.release.stable} get nothing, and still run:`);
    say(`next: ebbgate undo ${DEMO_SERVICE}`);
  } catch (error) {
    // Whoever stops watching leaves the release, and its instances with it.
    if (!(error instanceof CliFailure) || error.exit !== EXIT.interrupted) await letGo(terminal, members);
    throw error;
  } finally {
    say(await traffic.stop());
  }
}

/**
 * A release in place whose batches a person upgrades; the person is this command. Each instance is drained by the release, ends
 * through its registrar, and comes back under the same identity.
 */
async function upgrade(terminal: Terminal, place: DemoPlace, version: string): Promise<void> {
  const say = sayTo(terminal);
  const client = createClient({ api: place.endpoints.apis.join(',') }, terminal);
  const in_place = { batch: 1, soak: '2s' };
  const body = { target: version, in_place, gates: { ...GATES, on_inconclusive: 'pass' }, reason: 'a demo' };
  const begun = await client.post<ReleaseOutcome>(path('services', DEMO_SERVICE, 'releases'), body);
  const { id, stable } = begun.body.release;
  say(`release ${id}: ${stable} → ${version} in place, one instance after the other`);
  const traffic = startDemoTraffic(place.endpoints.gateways);
  const over = new AbortController();
  const hands = upgradeBatches(terminal, place, client, id, over.signal);
  try {
    await watchToEnd(terminal, client, { output: 'table' }, id);
  } finally {
    over.abort();
    await hands;
    say(await traffic.stop());
  }
}

/** Does what the release asks a person for, forwards and back, until `signal` aborts. */
async function upgradeBatches(
  terminal: Terminal,
  place: DemoPlace,
  client: ApiClient,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  const over = (): boolean => signal.aborted;
  while (!over()) {
    try {
      const { body: release } = await client.get<ReleaseResource>(path('releases', id), { signal });
      const version = release.state === 'rolling_back' ? release.stable : release.target;
      const asked = (release.in_place?.instances ?? []).filter(({ state }) => state === 'upgrading');
      const members = demoMembers(place.dir, DEMO_SERVICE).filter(
        (member) => member.version !== version && asked.some((one) => one.id === member.id),
      );
      await Promise.all(
        members.map((member) => upgradeDemo(place, member, { service: DEMO_SERVICE, version })),
      );
    } catch (error) {
      if (!over() && !mayPass(error))
        terminal.err(`the upgrade failed: ${error instanceof Error ? error.message : String(error)}\n`);
    }
    await terminal.pause(LOOK_MS, signal);
  }
}

async function letGo(terminal: Terminal, members: readonly DemoMember[]): Promise<void> {
  if (members.length === 0) return;
  await Promise.all(members.map(stopDemo));
  sayTo(terminal)(`stopped: ${members.map(({ id, version }) => `${id} (${version})`).join(' ')}`);
}

function sayTo(terminal: Terminal): (line: string) => void {
  return (line) => {
    terminal.out(`${line}\n`);
  };
}
