import { createFakeClock } from '../clock.js';
import { feedbackContract } from '../feedback.contract.js';
import { trafficContract } from '../traffic.contract.js';
import { MemoryGateways } from './gateways.js';

feedbackContract('the memory', () => {
  const clock = createFakeClock();
  const gateways = new MemoryGateways(clock);
  return Promise.resolve({
    clock,
    feedback: () => gateways.feedback(),
    connect: (mode) => {
      gateways.away = mode === 'away' ? 'unplugged' : null;
    },
    beat: (heartbeat) => {
      gateways.beat(heartbeat);
    },
    list: (id, at) => {
      gateways.list(id, at);
    },
    damage: (id) => {
      gateways.damage(id);
    },
    expire: (id) => {
      gateways.remove(id);
    },
    has: (id) =>
      Promise.resolve(gateways.listed().has(id) || gateways.beats().some((beat) => beat.id === id)),
    close: () => Promise.resolve(),
  });
});

trafficContract('the memory', () => {
  const gateways = new MemoryGateways(createFakeClock());
  return Promise.resolve({
    reader: () => gateways.traffic(),
    connect: (mode) => {
      gateways.away = mode === 'away' ? 'unplugged' : null;
    },
    count: (traffic) => {
      gateways.count(traffic);
    },
    damage: (id) => {
      gateways.damage(id);
    },
    close: () => Promise.resolve(),
  });
});
