import { expect, test } from 'vitest';
import { truthContract } from '../truth.contract.js';
import { MemoryTruth } from './truth.js';

truthContract('the memory', () => {
  const truth = new MemoryTruth();
  let candidates = 0;
  return Promise.resolve({
    office: () => truth.office(`candidate-${String((candidates += 1))}`),
    open: () => ({
      intents: truth.intents(),
      histories: truth.histories(),
      roster: truth.roster(),
      freezes: truth.freezes(),
      releases: truth.releases(),
      tokens: truth.tokens(),
      apiConsumers: truth.apiConsumers(),
    }),
    damage: (store, name) => {
      truth.damage(store.noun, name);
      return Promise.resolve();
    },
    wipe: () => {
      truth.wipe();
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  });
});

test('while it is away nothing is answered and nothing is applied', async () => {
  const truth = new MemoryTruth();
  const term = await truth.office('one').take(0);
  if (!term.ok) throw new Error('not taken');
  truth.away = 'unplugged';
  const away = { ok: false, error: { kind: 'unavailable', reason: 'unplugged' } };
  const roster = truth.roster();
  const entry = { id: 'g1', boot: 'b1', host: '10.0.0.1', since: '2026-05-01T12:00:00Z' };
  expect(await roster.write(term.value, [{ id: 'g1', entry }])).toEqual(away);
  expect(await roster.read('g1')).toEqual(away);
  expect(await truth.office('two').take(0)).toEqual(away);
  truth.away = null;
  expect(await roster.read('g1')).toEqual({ ok: true, value: null });
});
