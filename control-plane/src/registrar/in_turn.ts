import { inTurn } from '../model/api_addresses.js';

/**
 * One question to several controllers: the one that answered last is asked first, the others while there is no answer. The answer
 * of the last is given if nobody has one.
 */
export function askInTurn<T>(
  addresses: readonly string[],
  askAt: (address: string) => (signal: AbortSignal) => Promise<T>,
  isAnswer: (answer: T) => boolean,
): (signal: AbortSignal) => Promise<T> {
  const asks = new Map(addresses.map((address) => [address, askAt(address)]));
  let first = 0;
  return async (signal) => {
    const order = inTurn(addresses, first);
    for (const address of order) {
      const answer = await (asks.get(address) as (signal: AbortSignal) => Promise<T>)(signal);
      const isLast = address === order.at(-1);
      if (!isAnswer(answer) && !isLast && !signal.aborted) continue;
      if (isAnswer(answer)) first = addresses.indexOf(address);
      return answer;
    }
    throw new TypeError('no address of the control API');
  };
}
