import { request } from 'undici';
import type { InstanceResource } from '../model/resources.js';
import { all } from './all.js';
import { eventually, type ControlApi } from './control_api.js';
import { DEMO_SERVICE } from './demo_names.js';

interface Demo {
  readonly api: ControlApi;
  /** Those that this `up` has started and that still run; may change meanwhile. */
  readonly instances: Iterable<{ readonly id: string }>;
  /** URLs. */
  readonly gateways: readonly string[];
  readonly signal: AbortSignal;
}

/** Gives the demo service its route, and waits until every instance has answered through every gateway; at most 30 s each. */
export async function routeDemo(demo: Demo): Promise<void> {
  const { api, gateways, signal } = demo;
  const route = { routes: [{ host: '*', path: '/' }] };
  await eventually(30_000, signal, () => api.call('PATCH', `/v1/services/${DEMO_SERVICE}`, route));
  await all(
    gateways.map((gateway) =>
      eventually(30_000, signal, async () => {
        const silent = new Set(await serving(demo));
        const most = 10 * [...demo.instances].length;
        for (let tries = 0; silent.size > 0 && tries < most; tries += 1)
          silent.delete(await answeredBy(gateway));
        if (silent.size > 0) throw new Error(`${[...silent].join(', ')} did not answer through ${gateway}`);
      }),
    ),
  );
}

/** The instances that are to get requests: intents outlive an `up`, and may have taken some out. */
async function serving({ api, instances }: Demo): Promise<readonly string[]> {
  const answer = await api.call('GET', `/v1/services/${DEMO_SERVICE}/instances`);
  const { items } = answer as { items: readonly InstanceResource[] };
  const ours = new Set([...instances].map(({ id }) => id));
  return items
    .filter(({ id, effective }) => ours.has(id) && effective.state === 'up' && effective.traffic > 0)
    .map(({ id }) => id);
}

/** The instance that answers a request to the demo; throws if none does. */
async function answeredBy(gateway: string): Promise<string> {
  const { statusCode, body } = await request(gateway, { signal: AbortSignal.timeout(2_000) });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${gateway} answers ${String(statusCode)} for the demo`);
  return (JSON.parse(text) as { readonly instance: string }).instance;
}
