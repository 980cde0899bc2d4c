import { request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuditResource, IntentResource } from '../control-plane/src/testkit.js';
import { auditRecords } from './harness/audit.js';
import { ControlledPlatform, leaderOf, type AnotherController } from './harness/controlled_platform.js';
import { measured } from './harness/measured.js';
import type { RegisteredInstance } from './harness/registered_instance.js';
import { timePasses, until } from './harness/until.js';

/*
 * Two controllers, and eight people who change something all the time at whichever of them answers, while the leader is killed:
 * each change that was answered has one record, and there is no record besides.
 */

const CLIENTS = 8;
const ENV = { EBBGATE_ZOOKEEPER_SESSION: '1s' };
const ROUNDS = process.env.EBBGATE_LONG === undefined ? 1 : 10;

let platform: ControlledPlatform;
let controllers: readonly AnotherController[];
let instances: readonly RegisteredInstance[];

beforeAll(async () => {
  platform = await ControlledPlatform.start({ env: ENV, gateways: 1 });
  instances = await Promise.all(Array.from({ length: CLIENTS }, () => platform.startInstance()));
  controllers = [await platform.addController('one', ENV), await platform.addController('two', ENV)];
  await platform.controller.stop();
  await until('one of them leads', () => leader());
});
afterAll(() => platform[Symbol.asyncDispose]());

const leader = (): Promise<AnotherController | undefined> => leaderOf(controllers);

interface Answered {
  readonly key: string;
  readonly actor: string;
  readonly verb: string;
}

/** One person, who changes one instance until it is stopped; each change has one key, and is sent until it is answered. */
function startClient(
  number: number,
  round: number,
): { readonly answered: Answered[]; stop(): Promise<void> } {
  const actor = `person-${String(number)}`;
  const id = encodeURIComponent(instances[number]!.id);
  const answered: Answered[] = [];
  const stopped = new AbortController();
  const running = (async () => {
    // It ends with its instance given back.
    for (let turn = 0; !stopped.signal.aborted || turn % 2 > 0; turn += 1) {
      const verb = turn % 2 === 0 ? 'isolate' : 'restore';
      const key = `${actor}-${String(round)}-${String(turn)}`;
      let tries = number + turn;
      await until(`${key} is answered`, () => send(tries++, `${id}/${verb}`, key, actor), {
        timeoutMs: 30_000,
      });
      answered.push({ key, actor, verb });
      await timePasses('a person needs a moment', 20);
    }
  })();
  return {
    answered,
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}

async function send(turn: number, path: string, key: string, actor: string): Promise<boolean> {
  const { api } = controllers[turn % controllers.length]!;
  const answer = await request(`${api}/v1/services/shop/instances/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key, 'x-ebbgate-actor': actor },
    body: JSON.stringify({ reason: key, force: true }),
    headersTimeout: 3_000,
  }).catch(() => null);
  const text = await answer?.body.text();
  if (answer?.statusCode === 200) return true;
  if (answer !== null) expect({ status: answer.statusCode, text }).toMatchObject({ status: 503 });
  return false;
}

test('the leader killed -9 under eight people: one record for each change that was answered, and no other', async () => {
  const answered: Answered[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const broken = await until('there is a leader', () => leader());
    const clients = Array.from({ length: CLIENTS }, (_, number) => startClient(number, round));
    const answers = (least: number) => () => clients.every((one) => one.answered.length > least);
    await until('all have changed something', answers(3), { timeoutMs: 30_000 });
    const killed = performance.now();
    await broken.kill();
    await until('another one leads', () => leader(), { timeoutMs: 15_000 });
    measured('audit: leader killed -9 → another one ready', performance.now() - killed);
    const before = Math.max(...clients.map((one) => one.answered.length));
    await until('changes go on', answers(before + 3), { timeoutMs: 30_000 });
    await Promise.all(clients.map((one) => one.stop()));
    answered.push(...clients.flatMap((one) => one.answered));
    await broken.start();
    await until('both answer', async () => (await leader()) !== undefined && broken.running());
    if (round < ROUNDS - 1) continue;
    // The one that was killed is a standby now, and shows the same.
    const [one, two] = [await auditRecords(controllers[0]!.api), await auditRecords(controllers[1]!.api)];
    expect(one).toEqual(two);
    expect(one.map(({ n }) => n)).toEqual(one.map((_, at) => at + 1));
    const kept = one.map(({ idempotency_key, by, verb }) => `${idempotency_key ?? ''} ${by} ${verb}`);
    expect(kept.toSorted()).toEqual(
      answered.map(({ key, actor, verb }) => `${key} ${actor} ${verb}`).toSorted(),
    );
    for (const { object, changes, from, reason, idempotency_key, force } of one) {
      expect(object).toMatch(/^shop\//);
      expect(changes.some((change) => `shop/${change.instance ?? ''}` === object)).toBe(true);
      expect({ force, reason }).toEqual({ force: true, reason: idempotency_key });
      expect(from).toMatch(/^127\.0\.0\.1( via 127\.0\.0\.1)?$/);
    }
    // Half of the requests came to the standby, and say so.
    expect(one.some(({ from }) => from.includes(' via '))).toBe(true);
    measured('audit: changes that were answered', one.length);
    const mine = await auditRecords(controllers[0]!.api, '&service=shop&actor=person-3&verb=isolate');
    expect(mine.map(({ n }) => n)).toEqual(
      one
        .filter(({ by, verb }) => by === 'person-3' && verb === 'isolate')
        .map(({ n }) => n)
        .slice(-mine.length),
    );
    expect(mine.length).toBeGreaterThan(3);
  }
});

test('a person sees what was done, and takes a mistaken selector back', async () => {
  const api = ['--api', controllers[0]!.api];
  const ebbgate = async (words: string): Promise<string> => {
    const run = await platform.cli(...words.split(' '), ...api);
    expect(run, words).toMatchObject({ code: 0 });
    return run.stdout;
  };
  await ebbgate('drain --host 127.0.0.1 --force --reason wrong-host --expires 2h');
  const { items } = JSON.parse(await ebbgate('get intents --expiring -o json')) as {
    items: IntentResource[];
  };
  expect(items).toHaveLength(CLIENTS);
  for (const one of items) expect(one).toMatchObject({ kind: 'draining', reason: 'wrong-host' });
  const line = (await ebbgate('audit --since 1h --verb drain')).split('\n')[1];
  expect(line).toMatch(
    / drain +host=127\.0\.0\.1 +shop\/127\.0\.0\.1:\d+ {2}state: up → draining \(and \d+ more\) +wrong-host$/,
  );
  const dry = await ebbgate('undo-last --dry-run');
  expect(dry).toMatch(/^takes back record \d+: drain of host=127\.0\.0\.1, by \S+ at 20\S+\n/);
  expect(dry).toContain('dry run: nothing was written');
  expect(await ebbgate('undo-last --reason mistake --wait')).toContain('state: draining → up');
  expect((await platform.published()).peers.map(({ state }) => state)).toEqual(Array(CLIENTS).fill('up'));
  const [undone] = (JSON.parse(await ebbgate('audit --limit 1 -o json')) as { items: AuditResource[] }).items;
  expect(undone).toMatchObject({ verb: 'undo', object: 'drain of host=127.0.0.1', reason: 'mistake' });
  expect(await ebbgate(`audit ${String(undone?.n ?? 0)}`)).toContain(
    `undoes: record ${String(undone?.undoes ?? 0)}`,
  );
});
