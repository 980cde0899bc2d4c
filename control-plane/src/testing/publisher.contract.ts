import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lifecycle, PublishAnswer, Publisher } from '../model/ports.js';
import { ok } from '../model/result.js';
import type { EncodedDocument, PublishedDocument } from '../model/set.js';
import { buildEncoded, buildPeer, buildRoutes, buildSet, buildTombstone } from './builders.js';
import { must } from './must.js';
import { until } from './until.js';

/** Where sets are published, empty at first, and what happens to it behind the publishers' backs: whatever that returns is awaited. */
export interface Published extends Pick<Lifecycle, 'close'> {
  /** The publisher of another controller each time, not started. */
  publisher(): Publisher;
  /** `away`: nothing is answered and nothing is done. `deaf`: what is asked is done, and no answer arrives. */
  connect(mode: 'pass' | 'away' | 'deaf'): void;
  /** Whether writes are taken. */
  takeWrites(takes: boolean): unknown;
  wipe(): unknown;
  /** Keeps what is there now, for `goBack`. */
  keep(): unknown;
  goBack(): unknown;
  /** Writes nonsense over a set. */
  damage(service: string): unknown;
}

const AT = '2026-11-21T00:00:00Z';
const orders = (weight: number): EncodedDocument =>
  buildEncoded(buildSet({ service: 'orders', peers: [buildPeer({ weight })] }));

interface Call {
  readonly epoch?: number;
  readonly seen?: number;
  readonly expected?: number;
  readonly weight?: number;
}

/** What every publisher promises. */
export function publisherContract(name: string, make: () => Promise<Published>): void {
  describe(`${name} publishes sets`, () => {
    let where: Published;
    let publisher: Publisher;
    let opened: Publisher[];

    beforeEach(async () => {
      where = await make();
      opened = [];
      publisher = await start();
    });
    afterEach(async () => {
      where.connect('pass');
      for (const one of opened) await one.close();
      await where.close();
    });

    async function start(): Promise<Publisher> {
      const made = where.publisher();
      opened.push(made);
      await made.start();
      await until(() => expect(made.state().state).toBe('connected'));
      return made;
    }
    /** Publishes `orders`; by default in epoch 10, with nothing seen and nothing expected. */
    function publish({ epoch = 10, seen = 0, expected = 0, weight = 1 }: Call = {}): Promise<PublishAnswer> {
      const at = { last_generation: seen, expected_generation: expected, at: AT };
      return publisher.publish({ epoch, ...at, encoded: orders(weight) });
    }
    /** Everything that is there, the sets by name. */
    async function everything(): Promise<unknown> {
      const sets = await must(publisher.sets());
      return [await must(publisher.meta()), new Map(sets.map((set) => [set.service, set]))];
    }
    const meta = () => must(publisher.meta());
    const sets = async () => (await must(publisher.sets())).toSorted((a, b) => a.generation - b.generation);

    describe('open', () => {
      test('begins at generation 0 where nothing is', async () => {
        expect(await meta()).toBeNull();
        expect(await publisher.open(10)).toEqual({ kind: 'opened', generation: 0 });
        expect(await meta()).toEqual({ epoch: 10, generation: 0, sealed: false });
      });

      test('keeps the generation and the sets, and takes the seal off', async () => {
        await publisher.open(10);
        await publish();
        await publisher.seal(10);
        expect(await meta()).toEqual({ epoch: 10, generation: 1, sealed: true });
        expect(await publisher.open(11)).toEqual({ kind: 'opened', generation: 1 });
        expect(await meta()).toEqual({ epoch: 11, generation: 1, sealed: false });
        expect(await sets()).toEqual([{ ...orders(1), epoch: 10, generation: 1, at: AT }]);
      });

      test('of an open epoch is answered again and changes nothing, not even the seal', async () => {
        await publisher.open(10);
        await publish();
        await publisher.seal(10);
        expect(await publisher.open(10)).toEqual({ kind: 'opened', generation: 1 });
        expect(await meta()).toEqual({ epoch: 10, generation: 1, sealed: true });
      });

      test('of a lower epoch is fenced', async () => {
        await publisher.open(10);
        expect(await publisher.open(9)).toEqual({ kind: 'fenced', epoch: 10 });
        expect(await meta()).toEqual({ epoch: 10, generation: 0, sealed: false });
      });
    });

    describe('verify', () => {
      let published: readonly PublishedDocument[];
      beforeEach(async () => {
        await publisher.open(10);
        await publish();
        published = await sets();
      });

      test('names none while all is as it was published, in the name of whatever epoch', async () => {
        expect(await publisher.verify(published)).toEqual(ok(null));
        expect(await publisher.verify([])).toEqual(ok(null));
        await publisher.open(11);
        expect(await publisher.verify(published)).toEqual(ok(null));
      });

      test('names what was published again since, or never', async () => {
        expect(await publish({ seen: 1, expected: 1, weight: 2 })).toMatchObject({ kind: 'published' });
        expect(await publisher.verify(published)).toEqual(ok('orders'));
        const [now] = await sets();
        expect(await publisher.verify([now!])).toEqual(ok(null));
        expect(await publisher.verify([now!, { ...now!, service: 'shop' }])).toEqual(ok('shop'));
      });

      test.each<[string, Partial<PublishedDocument>]>([
        ['another epoch', { epoch: 9 }],
        ['another generation', { generation: 2 }],
        ['another hash', { hash: orders(2).hash }],
      ])('names a set of %s', async (_, other) => {
        expect(await publisher.verify([{ ...published[0]!, ...other }])).toEqual(ok('orders'));
      });

      test.each<[string, () => unknown]>([
        ['damaged', () => where.damage('orders')],
        ['gone', () => where.wipe()],
      ])('names a set that is %s', async (_, happens) => {
        await happens();
        expect(await publisher.verify(published)).toEqual(ok('orders'));
      });

      test('without an answer it names none', async () => {
        where.connect('away');
        expect(await publisher.verify(published)).toMatchObject({ ok: false });
      });
    });

    describe('publish', () => {
      // Before each: epoch 10 is open, and orders is at generation 2 with weight 2, first published with weight 1.
      test.each<[string, Call, PublishAnswer]>([
        ['the next change', { seen: 2, expected: 2, weight: 3 }, { kind: 'published', generation: 3 }],
        ['the same again', { seen: 2, expected: 2, weight: 2 }, { kind: 'same', generation: 2 }],
        [
          'a repeat whose first answer was lost',
          { seen: 1, expected: 1, weight: 2 },
          { kind: 'same', generation: 2 },
        ],
        [
          'a late duplicate of an older publish',
          { seen: 0, expected: 0, weight: 1 },
          { kind: 'conflict', generation: 2, epoch: 10 },
        ],
        [
          'one that expects too much',
          { seen: 2, expected: 3, weight: 3 },
          { kind: 'conflict', generation: 2, epoch: 10 },
        ],
        [
          'one from before the epoch',
          { epoch: 9, seen: 2, expected: 2, weight: 3 },
          { kind: 'fenced', epoch: 10 },
        ],
        [
          'one from before the epoch with equal bytes',
          { epoch: 9, seen: 2, expected: 2, weight: 2 },
          { kind: 'fenced', epoch: 10 },
        ],
        ['one that has seen more', { seen: 3, expected: 2, weight: 3 }, { kind: 'lost' }],
        ['one that has seen more, with equal bytes', { seen: 3, expected: 2, weight: 2 }, { kind: 'lost' }],
        [
          'one of an epoch that was never opened here',
          { epoch: 11, seen: 2, expected: 2, weight: 3 },
          { kind: 'lost' },
        ],
      ])('%s', async (_what, call, expected) => {
        await publisher.open(10);
        await publish();
        await publish({ seen: 1, expected: 1, weight: 2 });
        const before = await everything();
        expect(await publish(call)).toEqual(expected);
        if (expected.kind === 'published')
          expect(await sets()).toEqual([{ ...orders(3), epoch: 10, generation: 3, at: AT }]);
        else expect(await everything()).toEqual(before);
      });

      test('is lost where nothing is, or nothing any more', async () => {
        expect(await publish()).toEqual({ kind: 'lost' });
        await publisher.open(10);
        await publish();
        await where.wipe();
        expect(await publish({ seen: 1, expected: 1, weight: 2 })).toEqual({ kind: 'lost' });
        expect(await everything()).toEqual([null, new Map()]);
      });

      test('conflicts with what is absent at generation 0', async () => {
        await publisher.open(10);
        expect(await publish({ expected: 7 })).toEqual({ kind: 'conflict', generation: 0, epoch: 0 });
      });

      test('in a new epoch gives equal bytes a new generation', async () => {
        await publisher.open(10);
        await publish();
        await publisher.open(11);
        expect(await publish({ epoch: 11, seen: 1 })).toEqual({ kind: 'conflict', generation: 1, epoch: 10 });
        const again = { epoch: 11, seen: 1, expected: 1 };
        expect(await publish(again)).toEqual({ kind: 'published', generation: 2 });
        expect(await sets()).toEqual([{ ...orders(1), epoch: 11, generation: 2, at: AT }]);
      });

      test('the way back to older bytes is a new generation, and the late way there is a conflict', async () => {
        await publisher.open(10);
        await publish({ weight: 1 });
        await publish({ seen: 1, expected: 1, weight: 2 });
        const back = { seen: 2, expected: 2, weight: 1 };
        expect(await publish(back)).toEqual({ kind: 'published', generation: 3 });
        expect(await publish({ seen: 1, expected: 1, weight: 2 })).toMatchObject({ kind: 'conflict' });
      });

      test('mends a damaged set by the same bytes', async () => {
        await publisher.open(10);
        await publish();
        await where.damage('orders');
        expect(await sets()).toEqual([]);
        expect(await publish({ seen: 1, expected: 1 })).toEqual({ kind: 'published', generation: 2 });
        expect(await sets()).toEqual([{ ...orders(1), epoch: 10, generation: 2, at: AT }]);
      });

      test('of another controller is seen, and the one of a lower epoch is fenced', async () => {
        await publisher.open(10);
        await publish();
        const other = await start();
        await other.open(11);
        expect(await publish({ seen: 1, expected: 1, weight: 2 })).toEqual({ kind: 'fenced', epoch: 11 });
        expect(await publisher.seal(10)).toEqual({ kind: 'fenced', epoch: 11 });
        expect(await meta()).toEqual({ epoch: 11, generation: 1, sealed: false });
      });

      test('misuse throws: a hash of other bytes, a name that is none, a number that is none', async () => {
        const encoded = orders(1);
        const request = { epoch: 10, last_generation: 0, expected_generation: 0, at: AT, encoded };
        for (const [misuse, says] of [
          [{ encoded: { ...encoded, hash: 'x' } }, /hash/],
          [{ encoded: { ...encoded, service: '../x' } }, /called/],
          [{ expected_generation: -1 }, /whole number/],
        ] as const)
          await expect(publisher.publish({ ...request, ...misuse })).rejects.toThrow(says);
        await expect(publisher.open(1.5)).rejects.toThrow(/whole number/);
      });
    });

    describe('seal', () => {
      test('marks the open epoch as complete, as often as it is asked', async () => {
        await publisher.open(10);
        await publish();
        expect(await publisher.seal(10)).toEqual({ kind: 'sealed' });
        expect(await publisher.seal(10)).toEqual({ kind: 'sealed' });
        expect(await meta()).toEqual({ epoch: 10, generation: 1, sealed: true });
      });

      test('is fenced below the open epoch, lost above it and where nothing is', async () => {
        expect(await publisher.seal(10)).toEqual({ kind: 'lost' });
        await publisher.open(10);
        expect(await publisher.seal(9)).toEqual({ kind: 'fenced', epoch: 10 });
        expect(await publisher.seal(11)).toEqual({ kind: 'lost' });
        expect(await meta()).toEqual({ epoch: 10, generation: 0, sealed: false });
      });

      test('is lost if what it seals went back since the last publish: what is missing must not look removed', async () => {
        await publisher.open(20);
        await where.keep();
        await publish({ epoch: 20 });
        await where.goBack();
        expect(await publisher.seal(20)).toEqual({ kind: 'lost' });
        expect(await publisher.open(20)).toEqual({ kind: 'opened', generation: 0 });
        expect(await publisher.seal(20)).toEqual({ kind: 'lost' });
        await publisher.open(21);
        expect(await publisher.seal(21)).toEqual({ kind: 'sealed' });
      });
    });

    describe('prune', () => {
      const gone = buildEncoded(buildTombstone('orders'));
      const routes = buildEncoded(buildRoutes());

      /** Publishes `encoded` at generation `at`. */
      const put = async (encoded: EncodedDocument, at: number, expected = 0): Promise<PublishedDocument> => {
        const request = { epoch: 7, last_generation: at - 1, expected_generation: expected, at: AT, encoded };
        expect(await publisher.publish(request)).toEqual({ kind: 'published', generation: at });
        return { ...encoded, epoch: 7, generation: at, at: AT };
      };
      const services = async () => (await must(publisher.sets())).map(({ service }) => service);

      test('takes tombstones out of a sealed epoch, as often as it is asked, and generations go on', async () => {
        await publisher.open(7);
        await put(routes, 1);
        const tombstone = await put(gone, 2);
        expect(await publisher.prune(7, [tombstone])).toEqual({ kind: 'unsealed' });
        expect(await services()).toContain('orders');
        await publisher.seal(7);
        expect(await publisher.prune(7, [tombstone])).toEqual({ kind: 'pruned' });
        expect(await services()).toEqual(['@routes']);
        expect(await must(publisher.meta())).toEqual({ epoch: 7, generation: 2, sealed: true });
        expect(await publisher.prune(7, [tombstone])).toEqual({ kind: 'pruned' });
        await put(orders(100), 3);
        expect(await services()).toContain('orders');
      });

      test('leaves what was published again, be it another tombstone', async () => {
        await publisher.open(7);
        const tombstone = await put(gone, 1);
        await put(orders(100), 2, 1);
        await publisher.seal(7);
        expect(await publisher.prune(7, [tombstone])).toEqual({ kind: 'pruned' });
        expect(await must(publisher.sets())).toMatchObject([{ service: 'orders', generation: 2 }]);
        await put(gone, 3, 2);
        expect(await publisher.prune(7, [tombstone])).toEqual({ kind: 'pruned' });
        expect(await must(publisher.sets())).toMatchObject([{ service: 'orders', generation: 3 }]);
      });

      test('takes many out', async () => {
        await publisher.open(7);
        const all: PublishedDocument[] = [];
        for (let at = 1; at <= 450; at += 1) {
          const encoded = buildEncoded(buildTombstone(`s-${String(at)}`));
          all.push(await put(encoded, at));
        }
        await put(routes, 451);
        await publisher.seal(7);
        expect(await publisher.prune(7, all)).toEqual({ kind: 'pruned' });
        expect(await services()).toEqual(['@routes']);
      });

      test('is fenced below the open epoch, lost above it, where nothing is and where Redis went back', async () => {
        await publisher.open(7);
        await where.keep();
        const tombstone = await put(gone, 1);
        await publisher.seal(7);
        const other = await start();
        expect(await other.prune(6, [tombstone])).toEqual({ kind: 'fenced', epoch: 7 });
        expect(await other.prune(8, [tombstone])).toEqual({ kind: 'lost' });
        await where.goBack();
        expect(await publisher.prune(7, [tombstone])).toEqual({ kind: 'lost' });
        await where.wipe();
        expect(await publisher.prune(7, [tombstone])).toEqual({ kind: 'lost' });
        where.connect('away');
        expect(await publisher.prune(7, [tombstone])).toMatchObject({ kind: 'unavailable' });
      });
    });

    test('every set is read, of whatever kind, without the damaged', async () => {
      await publisher.open(10);
      const documents = [
        ...['a', 'b'].map((service) => buildSet({ service })),
        buildTombstone('gone'),
        buildRoutes(),
      ].map((document) => buildEncoded(document));
      for (const encoded of documents)
        await publisher.publish({ epoch: 10, last_generation: 0, expected_generation: 0, at: AT, encoded });
      await where.damage('a');
      expect(await sets()).toEqual(
        documents.slice(1).map((one, index) => ({ ...one, epoch: 10, generation: index + 2, at: AT })),
      );
      const above = async (generation: number): Promise<readonly string[]> =>
        (await must(publisher.sets(generation))).map(({ service }) => service).toSorted();
      expect(await above(1)).toEqual(['@routes', 'b', 'gone']);
      expect(await above(3)).toEqual(['@routes']);
      expect(await above(4)).toEqual([]);
    });

    test('the probe takes what is writable for it, and changes nothing; what is not, it says', async () => {
      expect(await publisher.probe()).toBeNull();
      expect(await everything()).toEqual([null, new Map()]);
      await publisher.open(7);
      await publish({ epoch: 7 });
      const before = await everything();
      expect(await publisher.probe()).toBeNull();
      expect(await everything()).toEqual(before);
      await where.takeWrites(false);
      expect(await publisher.probe()).toEqual(expect.stringMatching(/./));
      expect(await publish({ epoch: 7, seen: 1, expected: 1, weight: 2 })).toEqual({
        kind: 'unavailable',
        reason: expect.stringMatching(/./) as string,
      });
      expect(await everything()).toEqual(before);
      await where.takeWrites(true);
      expect(await publisher.probe()).toBeNull();
    });

    test('the time goes forward, in milliseconds', async () => {
      const first = await must(publisher.time());
      expect(first).toBeGreaterThan(Date.UTC(2026, 0, 1));
      expect(await must(publisher.time())).toBeGreaterThanOrEqual(first);
    });

    test('away it answers nothing, at once, and applies nothing; that it is back is a doubt', async () => {
      const doubts: string[] = [];
      publisher.onDoubt((reason) => doubts.push(reason));
      await publisher.open(10);
      await publish();
      const before = await everything();
      where.connect('away');
      await until(() => expect(publisher.state().state).not.toBe('connected'));
      const unavailable = { kind: 'unavailable', reason: expect.stringMatching(/./) as string };
      const failed = { ok: false, error: expect.stringMatching(/./) as string };
      expect(await publish({ seen: 1, expected: 1, weight: 2 })).toEqual(unavailable);
      expect([await publisher.open(11), await publisher.seal(10)]).toEqual([unavailable, unavailable]);
      expect([await publisher.meta(), await publisher.sets(), await publisher.time()]).toEqual([
        failed,
        failed,
        failed,
      ]);
      expect(await publisher.probe()).toEqual(expect.stringMatching(/./));
      expect(doubts).toEqual([]);
      where.connect('pass');
      await until(() => expect(publisher.state().state).toBe('connected'));
      await until(() => expect(doubts).toHaveLength(1));
      expect(await everything()).toEqual(before);
    });

    test('what got no answer may have been applied, and is safe to repeat', async () => {
      await publisher.open(10);
      where.connect('deaf');
      expect(await publish()).toMatchObject({ kind: 'unavailable' });
      where.connect('pass');
      await until(() => expect(publisher.state().state).toBe('connected'));
      await until(async () => expect(await publish()).toEqual({ kind: 'same', generation: 1 }));
      expect(await meta()).toEqual({ epoch: 10, generation: 1, sealed: false });
    });

    test('before it is started and after it is closed, twice, nothing is answered', async () => {
      const other = where.publisher();
      const unavailable = { kind: 'unavailable' };
      expect(await other.open(10)).toMatchObject(unavailable);
      await other.start();
      await until(() => expect(other.state().state).toBe('connected'));
      await other.open(10);
      await other.close();
      await other.close();
      expect(await other.open(10)).toMatchObject(unavailable);
      expect(other.state().state).not.toBe('connected');
      expect(await meta()).toEqual({ epoch: 10, generation: 0, sealed: false });
    });
  });
}
