import { beforeEach, expect, test } from 'vitest';
import type { ElectionMember } from '../../model/election.js';
import { err, ok, type Result } from '../../model/result.js';
import { createFakeClock } from '../../testing/clock.js';
import { Namesakes } from './namesakes.js';

let clock: ReturnType<typeof createFakeClock>;
let members: Result<readonly ElectionMember[], string>;
let namesakes: Namesakes;

beforeEach(() => {
  clock = createFakeClock();
  namesakes = new Namesakes({ election: { members: () => Promise.resolve(members) }, clock });
});

const member = (id: string, started_at: string): ElectionMember => {
  return { id, started_at, address: null, version: '1' };
};

/** Looks as often as in so long a time. */
async function lookFor(ms: number): Promise<void> {
  for (let past = 0; past <= ms; past += 15_000) {
    await namesakes.look();
    await clock.advance(15_000);
  }
}

test('two that run under one name are a problem, once neither can be a dead one', async () => {
  members = ok([member('controller', '1'), member('controller', '2'), member('other', '3')]);
  await lookFor(30_000);
  expect(namesakes.problems()).toEqual([]);
  members = err('no answer');
  await lookFor(30_000);
  expect(namesakes.problems()).toEqual([
    {
      ...{ code: 'duplicate_controller', service: null, field: 'controller' },
      message: 'two controllers run as controller; give each its own EBBGATE_CONTROLLER_ID',
    },
  ]);
  members = ok([member('controller', '1'), member('controller-2', '4'), member('other', '3')]);
  await lookFor(0);
  expect(namesakes.problems()).toEqual([]);
});

test('one that is killed and started again and again is no problem', async () => {
  for (let start = 1; start <= 6; start += 1) {
    members = ok([member('controller', String(start)), member('controller', String(start + 1))]);
    await lookFor(30_000);
    expect(namesakes.problems()).toEqual([]);
  }
});

test('it looks by itself, and not after it was closed', async () => {
  members = ok([member('controller', '1'), member('controller', '2')]);
  await namesakes.start();
  await clock.advance(90_000);
  expect(namesakes.problems()).toHaveLength(1);
  members = ok([]);
  await namesakes.close();
  await clock.advance(90_000);
  expect(namesakes.problems()).toHaveLength(1);
});
