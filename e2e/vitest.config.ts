import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { defineConfig } from 'vitest/config';

const root = import.meta.dirname;
const shared = { root, testTimeout: 120_000, hookTimeout: 120_000 };
const e2e = (name: string): string => `${name}.e2e.test.ts`;

// Whole scenarios on real servers. These measure how requests are spread by latency, or count what comes within a time: each has
// the machine to itself. All others wait for conditions and count outcomes.
const MEASURING = [
  'balancers',
  'connections',
  'gateway',
  'health',
  'health_checks',
  'http_heads',
  'loss',
  'one_bad',
  'soak',
  'weights',
].map(e2e);

/** Files at once of those that wait for sessions that expire, for open requests, for a gate. Five on two cores starve each other. */
const WAITING_AT_ONCE = 2;

/** Those that take longest, so that none of them is the last to begin; `npm test` prints what each took. */
const LONGEST = [
  'tutorial',
  'releases_faults',
  'up',
  'faults_controller',
  'data_loss',
  'bad_input',
  'faults_nginx',
  'drain',
  'releases_in_place',
  'releases_gates',
  'histories',
  'edge_attacks',
  'releases',
  'parallel_clients',
  'gateway',
  'http_edge',
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
      {
        test: {
          ...shared,
          name: 'waiting',
          include: ['**/*.e2e.test.ts'],
          exclude: MEASURING,
          maxWorkers: WAITING_AT_ONCE,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...shared,
          name: 'measuring',
          include: MEASURING,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
