import { createFakeClock } from '../clock.js';
import { storeClocksContract } from '../store_clocks.contract.js';
import { MemoryStoreClocks } from './store_clocks.js';

storeClocksContract('the memory', () => {
  const clock = createFakeClock();
  const clocks = new MemoryStoreClocks(clock);
  return Promise.resolve({
    ...{ clocks, wall: () => clock.wall() },
    connect: (store, mode) => {
      clocks.by[store] = mode === 'away' ? null : 0;
    },
    close: () => Promise.resolve(),
  });
});
