import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';

const root = import.meta.dirname;
const shared = { root, testTimeout: 120_000, hookTimeout: 120_000 };
const e2e = (name: string): string => `${name}.e2e.test.ts`;

// Whole scenarios on real servers, in four groups, one after the other.

/** These measure how requests are spread by latency, what work costs, or how much is done within a time: each has the machine to itself. */
const MEASURING = ['balancers', 'health_checks_many', 'limits_cluster', 'one_bad'].map(e2e);

/** These count what comes within a time, with room to spare: four at once. */
const COUNTING = ['connections', 'gateway', 'health', 'health_checks', 'http_heads', 'soak'].map(e2e);

/** Sessions of a second, and latencies that are compared: these alone. */
const TIMED = ['controllers_cut', 'controllers', 'releases_gates'].map(e2e);

/** All others wait for conditions: sessions that expire, gates, processes that start. More on two cores make each other late. */
const WAITING_AT_ONCE = 4;

/** Those that take longest, so that none of them is the last to begin; `npm test` prints what each took. */
const LONGEST = [
  'tutorial',
  'releases_faults',
  'up',
  'releases_in_place',
  'histories',
  'data_loss',
  'spec',
  'releases',
  'versions',
  'faults_controller',
  'parallel_clients',
  'ensemble',
  'faults_redis_servers',
  'redis_replica',
  'upgrade',
  'cleanup',
  'tokens_of_machines',
  'high_availability',
  'vanished',
  'known_health',
  'faults_nginx',
  'health',
  'health_checks',
].map(e2e);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}`));
      return found === -1 ? LONGEST.length : found;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    ...shared,
    sequence: { sequencer: LongestFirst },
    projects: [
      group('waiting', 0, {
        include: ['**/*.e2e.test.ts'],
        exclude: [...MEASURING, ...COUNTING, ...TIMED],
        atOnce: WAITING_AT_ONCE,
      }),
      group('counting', 1, { include: COUNTING, atOnce: 4 }),
      group('timed', 3, { include: TIMED, atOnce: 3 }),
      group('measuring', 2, { include: MEASURING, atOnce: 1 }),
    ],
  },
});

/** Files that run before or after other groups, so many at once. */
function group(
  name: string,
  groupOrder: number,
  {
    include,
    exclude = [],
    atOnce,
  }: { readonly include: string[]; readonly exclude?: string[]; readonly atOnce: number },
): TestProjectInlineConfiguration {
  // One process for many files: loading the harness again for each costs two seconds of a core.
  const process = { isolate: false, maxWorkers: atOnce };
  return { test: { ...shared, ...process, name, include, exclude, sequence: { groupOrder } } };
}
