import { auditContract } from '../audit.contract.js';
import { MemoryTruth } from './truth.js';

auditContract('the memory', () => {
  const truth = new MemoryTruth();
  let candidates = 0;
  return Promise.resolve({
    office: () => truth.office(`candidate-${String((candidates += 1))}`),
    open: async (bounds) => {
      const side = { audit: truth.audit(bounds), intents: truth.intents(), roster: truth.roster() };
      await side.intents.start();
      return side;
    },
    close: () => Promise.resolve(),
  });
});
