import { expect, test } from 'vitest';
import type { ContractVersion } from '../model/contract.js';
import type { PublishedDocument, ServiceSet } from '../model/set.js';
import { encode } from '../plan/encode.js';
import { buildSet, buildWitnesses } from '../testing/builders.js';
import { createFakeClock } from '../testing/clock.js';
import { createRecordingLog } from '../testing/log.js';
import { ContractChoice } from './contract_choice.js';

const NEW = { contracts: [1, 2] };
const OLD = { contracts: [1] };

function rig(
  published: readonly ContractVersion[] = [],
  contractMost: ContractVersion = 2,
  more: Partial<ServiceSet> = {},
) {
  const clock = createFakeClock();
  const state = { complete: false, heard: {} as Parameters<typeof buildWitnesses>[0] };
  const remembered = new Map(
    published.map((contract, n): [string, PublishedDocument] => {
      const service = `s${String(n)}`;
      const encoded = encode(buildSet({ service, ...more }), contract);
      return [service, { ...encoded, epoch: 1, generation: n + 1, at: '2026-05-01T12:00:00Z' }];
    }),
  );
  const choice = new ContractChoice({
    inputs: {
      fleet: {
        get complete() {
          return state.complete;
        },
        witnesses: () => buildWitnesses(state.heard),
      },
    },
    publication: { remembered },
    ...{ clock, log: createRecordingLog(), settings: { contractMost } },
  });
  const look = (heard: typeof state.heard): ContractVersion => {
    Object.assign(state, { complete: true, heard });
    return choice.look();
  };
  return { choice, clock, look };
}

test('until the gateways are known it stays what was published', () => {
  expect(rig().choice.look()).toBe(1);
  expect(rig([1, 1]).choice.look()).toBe(1);
  expect(rig([1, 2]).choice.look()).toBe(2);
  expect(rig([1, 2], 1).choice.look()).toBe(1);
});

test('a set that needs a newer version than was chosen does not say what was', () => {
  const { choice } = rig([1], 2, { limits: [{ name: 'all', rate: '1/s' }] });
  expect(choice.look()).toBe(1);
});

test('it is the highest that all understand, up and down', () => {
  const { look, choice } = rig();
  expect(look({ a: NEW, b: OLD })).toBe(1);
  expect(choice.now.limited_by).toEqual(['b']);
  expect(look({ a: NEW, b: NEW })).toBe(2);
  expect(look({ a: OLD, b: NEW })).toBe(1);
});

test('it remembers since when it is limited, by whomever', async () => {
  const { look, choice, clock } = rig();
  const from = clock.wall();
  look({ a: NEW, b: OLD });
  await clock.advance(1_000);
  look({ a: OLD, b: NEW });
  expect(choice.now.limited_since).toBe(from);
  look({ a: NEW, b: NEW });
  expect(choice.now.limited_since).toBeNull();
  look({ a: OLD, b: NEW });
  expect(choice.now.limited_since).toBe(from + 1_000);
});
