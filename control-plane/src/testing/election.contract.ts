import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Election, StandingController } from '../model/election.js';
import type { Lifecycle } from '../model/ports.js';
import { must } from './must.js';
import { until } from './until.js';

/** One controller's election, not started, and what happens to its connection. */
export interface Stand {
  readonly election: Election;
  /** `away`: nothing is answered, and its session ends after a while. */
  connect(mode: 'pass' | 'away'): void;
}

/** Where controllers stand for election. */
export interface Elections extends Pick<Lifecycle, 'close'> {
  stand(controller: StandingController): Promise<Stand>;
  /** Somebody takes the place of one away. */
  remove(controller: StandingController): unknown;
}

const controller = (id: string): StandingController => ({
  ...{ id, address: `http://${id}:8090`, version: '0.1.0' },
  started_at: '2026-11-21T00:00:00Z',
});

/** What every election promises. */
export function electionContract(name: string, make: () => Promise<Elections>): void {
  describe(`${name} elects a controller`, () => {
    let where: Elections;
    let standing: Map<string, Stand>;

    beforeEach(async () => {
      where = await make();
      standing = new Map();
    });
    afterEach(async () => {
      for (const one of standing.values()) {
        one.connect('pass');
        await one.election.close();
      }
      await where.close();
    });

    async function stand(id: string): Promise<Stand> {
      const one = await where.stand(controller(id));
      standing.set(id, one);
      await one.election.start();
      await until(() => expect(one.election.state()).not.toBe('unknown'));
      return one;
    }
    const becomes = (one: Stand, state: string) => until(() => expect(one.election.state()).toBe(state));
    const ids = async (one: Stand) => (await must(one.election.standing())).map(({ id }) => id);

    test('nobody before it has an answer; then the one that stands alone', async () => {
      const one = await where.stand(controller('a'));
      standing.set('a', one);
      expect(one.election.state()).toBe('unknown');
      expect(await one.election.standing()).toMatchObject({ ok: false });
      let changes = 0;
      one.election.onChange(() => (changes += 1));
      await one.election.start();
      await becomes(one, 'elected');
      expect(changes).toBe(1);
      expect(await must(one.election.standing())).toEqual([controller('a')]);
    });

    test('who has stood longest, and no other', async () => {
      const [a, b, c] = [await stand('a'), await stand('b'), await stand('c')];
      expect([a, b, c].map((one) => one.election.state())).toEqual(['elected', 'waiting', 'waiting']);
      for (const one of [a, b, c]) expect(await ids(one)).toEqual(['a', 'b', 'c']);
    });

    test('the next one when the elected goes; who waits goes unnoticed', async () => {
      const [a, b, c] = [await stand('a'), await stand('b'), await stand('c')];
      await b.election.close();
      await a.election.close();
      await becomes(c, 'elected');
      expect(await ids(c)).toEqual(['c']);
      expect([a, b].map((one) => one.election.state())).toEqual(['unknown', 'unknown']);
    });

    test('the next one when the session of the elected ends; back again, that one waits', async () => {
      const [a, b] = [await stand('a'), await stand('b')];
      a.connect('away');
      await becomes(b, 'elected');
      expect(a.election.state()).toBe('unknown');
      a.connect('pass');
      await becomes(a, 'waiting');
      expect(await ids(b)).toEqual(['b', 'a']);
    });

    test('never two at any time', async () => {
      const [a, b] = [await stand('a'), await stand('b')];
      const together: string[] = [];
      b.election.onChange(() => {
        together.push(`${a.election.state()} ${b.election.state()}`);
      });
      a.connect('away');
      await becomes(b, 'elected');
      a.connect('pass');
      await becomes(a, 'waiting');
      expect(together).toEqual(['unknown elected']);
    });

    test('the next one when the elected resigns, which waits then; who is alone is elected again', async () => {
      const [a, b] = [await stand('a'), await stand('b')];
      a.election.resign();
      await becomes(b, 'elected');
      await becomes(a, 'waiting');
      expect(await ids(a)).toEqual(['b', 'a']);
      await a.election.close();
      b.election.resign();
      await becomes(b, 'elected');
      expect(await ids(b)).toEqual(['b']);
    });

    test('one whose place is taken away stands again', async () => {
      const [a, b] = [await stand('a'), await stand('b')];
      await where.remove(controller('b'));
      await until(async () => expect(await ids(a)).toEqual(['a', 'b']));
      await becomes(b, 'waiting');
      await where.remove(controller('a'));
      await becomes(b, 'elected');
      await becomes(a, 'waiting');
    });
  });
}
