import { own } from '../model/dictionary.js';
import type { FilledLimit, LimitCounts } from '../model/limit.js';
import type { GatewayTraffic } from '../model/release_ports.js';
import type { LimitResource } from '../model/resources.js';

const NONE: LimitCounts = { admitted: 0, delayed: 0, refused: 0 };

/** The limits of `service` in their order, each with what the gateways counted of late. */
export function describeLimits(
  service: string,
  limits: readonly FilledLimit[],
  traffic: readonly GatewayTraffic[],
): readonly LimitResource[] {
  return limits.map(({ name, algorithm, scope, rate, mode }) => {
    const counted = traffic.flatMap((one) => {
      if (one.limits === undefined) return [];
      const ofService = own(one.limits.services, service);
      const counts = ofService && own(ofService, name);
      return counts === undefined ? [] : [{ counts, seconds: one.limits.seconds }];
    });
    const sum = counted.reduce((all, { counts }) => added(all, counts), NONE);
    const seconds = Math.min(...counted.map((one) => one.seconds));
    const recent = counted.length === 0 ? null : { ...sum, seconds, gateways: counted.length };
    return { name, algorithm, scope, rate, mode, recent };
  });
}

function added(a: LimitCounts, b: LimitCounts): LimitCounts {
  return {
    admitted: a.admitted + b.admitted,
    delayed: a.delayed + b.delayed,
    refused: a.refused + b.refused,
  };
}

/** What a person who changes limits should know: one sentence for each that was asked of late. */
export function limitNotes(limits: readonly LimitResource[]): readonly string[] {
  return limits.flatMap(({ name, mode, recent }) => {
    if (recent === null) return [];
    const { admitted, refused, seconds, gateways } = recent;
    const what = mode === 'log' ? 'would have refused' : 'refused';
    const where = gateways === 1 ? 'one gateway' : `${String(gateways)} gateways`;
    const asked = String(admitted + refused);
    return [
      `limit ${name} as it is ${what} ${String(refused)} of ${asked} requests in the last ${String(seconds)} s, at ${where}`,
    ];
  });
}
