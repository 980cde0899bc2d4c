import type { Command } from 'commander';
import type {
  GatewayResource,
  InstanceResource,
  LimitResource,
  OperationResource,
  ServiceResource,
} from '../model/resources.js';
import { createClient, path, type ApiClient } from './client.js';
import * as columns from './columns.js';
import { Refused } from './failure.js';
import { apiCommand, type CommonFlags } from './flags.js';
import { print } from './output.js';
import { routeLine, specLines } from './spec_text.js';
import { fields, pairs, table } from './table.js';
import type { Terminal } from './terminal.js';

type Pairs = readonly (readonly [string, string | readonly string[]])[];

/** `ebbgate describe service|instance|gateway|operation`: everything about one thing. */
export function addDescribe(program: Command, terminal: Terminal): void {
  const describe = program.command('describe').description('everything about one thing');
  apiCommand(describe, 'service <SVC>', 'a service and its instances').action(
    async (service: string, flags: CommonFlags) => {
      const { value, lines } = await serviceText(createClient(flags, terminal), service);
      print(terminal, flags.output, value, () => lines);
    },
  );
  apiCommand(describe, 'instance <INSTANCE>', 'an instance: registered, decided, in force, and why')
    .requiredOption('-s, --service <SVC>', 'its service')
    .action(async (id: string, flags: CommonFlags & { readonly service: string }) => {
      const client = createClient(flags, terminal);
      const { body } = await client.get<InstanceResource>(path('services', flags.service, 'instances', id));
      print(terminal, flags.output, body, () => fields(instancePairs(body)));
    });
  apiCommand(describe, 'gateway <GATEWAY>', 'a gateway').action(async (id: string, flags: CommonFlags) => {
    const { body } = await createClient(flags, terminal).get<GatewayResource>(path('gateways', id));
    print(terminal, flags.output, body, () => fields(gatewayPairs(body)));
  });
  apiCommand(describe, 'operation <OPERATION>', 'an operation and what it waits for').action(
    async (id: string, flags: CommonFlags) => {
      const { body } = await createClient(flags, terminal).get<OperationResource>(path('operations', id));
      print(terminal, flags.output, body, () => fields(operationPairs(body)));
    },
  );
}

async function serviceText(
  client: ApiClient,
  name: string,
): Promise<{ value: unknown; lines: readonly string[] }> {
  const [{ body: service }, { body: instances }] = await Promise.all([
    client.get<ServiceResource>(path('services', name)),
    client.get<{ readonly items: readonly InstanceResource[] }>(path('services', name, 'instances')),
  ]);
  const limits = service.spec.limits.length === 0 ? [] : await limitsOf(client, name);
  return {
    value: { ...service, instance_list: instances.items, limits },
    lines: [...fields(servicePairs(service, limits)), '', ...table(columns.INSTANCE, instances.items, true)],
  };
}

/** What is counted is in Redis: without it the service is described all the same. */
async function limitsOf(client: ApiClient, name: string): Promise<readonly LimitResource[]> {
  try {
    const { body } = await client.get<{ readonly items: readonly LimitResource[] }>(
      path('services', name, 'limits'),
    );
    return body.items;
  } catch (error) {
    if (error instanceof Refused) return [];
    throw error;
  }
}

function limitLine({ name, rate, scope, mode, recent }: LimitResource): string {
  const what = `${name}${rate === null ? '' : ` ${rate}`}${scope === 'cluster' ? ' of all gateways' : ''}`;
  if (recent === null) return `${what}: no gateway says anything of it yet`;
  const { admitted, delayed, refused, seconds } = recent;
  const asked = String(admitted + refused);
  const waited = delayed === 0 ? '' : `, ${String(delayed)} had to wait`;
  return `${what}: ${mode === 'log' ? 'would have refused' : 'refused'} ${String(refused)} of ${asked} in ${String(seconds)} s${waited}`;
}

function servicePairs(service: ServiceResource, limits: readonly LimitResource[]): Pairs {
  const { spec, convergence } = service;
  const { decided, usual } = specLines(spec);
  return [
    ['Service', service.service],
    ['ETag', service.etag ?? 'nothing was decided yet'],
    ['Routes', spec.routes.map(routeLine)],
    ['Decided', decided],
    ['By default', usual],
    ...(limits.length === 0 ? [] : [['Limits', limits.map(limitLine)] as const]),
    ['Versions', pairs(service.versions) || 'by weight alone'],
    ['Falls back', fallbackText(service)],
    ['Shares now', pairs(service.effective_shares)],
    ['Published', columns.position(service.published)],
    [
      'Gateways',
      (convergence?.gateways ?? []).map(
        (gateway) =>
          `${gateway.id} ${gateway.state}${gateway.code === undefined ? '' : ` (${gateway.code})`}`,
      ),
    ],
    ['Protection', service.holds.map(({ kind, message }) => `${kind}: ${message}`)],
    ['Frozen', service.freezes.map(freezeLine)],
    ['Panic', service.panic.map((gateway) => `${gateway} ignores health: too many instances are out`)],
    ['Breaker', breakerLines(service.breaker)],
    ['Problems', service.problems.map(problemLine)],
  ];
}

function problemLine({ code, path, message }: ServiceResource['problems'][number]): string {
  return `${code}: ${path === null ? '' : `${path}: `}${message}`;
}

/** Who serves while nobody of the versions with a share can. */
function fallbackText({ versions, fallback, fell_back: fell, spec }: ServiceResource): string {
  if (Object.keys(versions).length === 0 || fallback === null) return '';
  if (!spec.version_fallback) return `not to ${fallback}: version_fallback is false`;
  return fell
    ? `to ${fallback}, which serves now: nobody of the others can`
    : `to ${fallback} while nobody of the others can`;
}

function breakerLines({ forced, gateways }: ServiceResource['breaker']): readonly string[] {
  const word = forced
    ? [
        `forced ${forced.state} by ${forced.by} at ${forced.since}${forced.until === null ? '' : `, until ${forced.until}`}, because: ${forced.reason}`,
      ]
    : [];
  return [
    ...word,
    ...gateways.map((one) => `${one.state} on ${one.gateway} since ${one.since}: ${one.reason}`),
  ];
}

function freezeLine({ scope, by, reason, since, until }: ServiceResource['freezes'][number]): string {
  const what = scope === 'all' ? 'with all services, ' : '';
  return `${what}by ${by} at ${since}${until === null ? '' : `, until ${until}`}, because: ${reason}`;
}

function instancePairs(instance: InstanceResource): Pairs {
  const { intent, effective, drain } = instance;
  return [
    ['Instance', `${instance.service}/${instance.id}`],
    ['Address', `${instance.host} port ${String(instance.port)}`],
    ['Version', instance.version],
    ['Zone', instance.zone],
    ['Labels', pairs(instance.labels)],
    ['Registered', registered(instance)],
    ['Node', instance.path ?? ''],
    ['Intent', intent === null ? 'none' : intentText(intent)],
    ...layerPairs(intent),
    ['Effective', effectiveText(effective)],
    ['Why', instance.why],
    ['In-flight', pairs(instance.in_flight)],
    ['Drained', drain === null ? 'not asked for' : drain.drained ? 'yes' : 'not yet'],
    ['Waits for', drain?.waiting_for ?? []],
    ['Health', healthLines(instance)],
  ];
}

/** All layers, where there are several. */
function layerPairs(intent: InstanceResource['intent']): Pairs {
  return intent === null || intent.layers.length < 2 ? [] : [['Layers', intent.layers]];
}

function effectiveText({
  state,
  weight,
  traffic,
  down,
  backup,
  keep_sticky: kept,
}: InstanceResource['effective']): string {
  const marks = [
    ...(down ? ['down'] : []),
    ...(backup ? ['backup'] : []),
    ...(kept ? ['kept for sticky clients'] : []),
  ];
  return [state, `weight ${String(weight)}`, `${columns.percentText(traffic)} of the traffic`, ...marks].join(
    ', ',
  );
}

/** A line per gateway; one that reports nothing finds it healthy. */
function healthLines({ health, in_flight: gateways, drain }: InstanceResource): readonly string[] {
  if (drain !== null) return ['not checked while no new request may go to it'];
  return Object.keys(gateways).map((gateway) => {
    const found = health.find((one) => one.gateway === gateway);
    if (!found) return `${gateway} healthy`;
    const { state, since, reason } = found;
    return `${gateway} ${state}${since === null ? '' : ` since ${since}`}${reason === '' ? '' : `: ${reason}`}`;
  });
}

function registered(instance: InstanceResource): string {
  if (!instance.registered) return 'no';
  const marks = [
    `weight ${String(instance.registered_weight)}`,
    ...(instance.registered_backup ? ['backup'] : []),
    ...(instance.ready ? [] : ['not ready']),
    ...(instance.leaving ? ['leaving'] : []),
    ...(instance.persistent ? ['by a persistent node: nothing removes it when its process dies'] : []),
  ];
  return `yes, ${marks.join(', ')}`;
}

function intentText(intent: NonNullable<InstanceResource['intent']>): string {
  return [
    intent.state ?? '',
    intent.weight === null ? '' : `weight ${String(intent.weight)}`,
    intent.backup === null ? '' : intent.backup ? 'backup' : 'no backup',
    intent.keep_sticky_until === null ? '' : `sticky clients kept until ${intent.keep_sticky_until}`,
    `by ${intent.by} at ${intent.at}`,
    intent.expires === null ? '' : `until ${intent.expires}`,
    intent.operation === null ? '' : `operation ${intent.operation}`,
    intent.reason === '' ? '' : `because: ${intent.reason}`,
  ]
    .filter((part) => part !== '')
    .join(', ');
}

function gatewayPairs(gateway: GatewayResource): Pairs {
  return [
    ['Gateway', gateway.id],
    ['State', gateway.state],
    ['In roster', gateway.in_roster ? `since ${gateway.since ?? '?'}` : 'no'],
    ['Heard', gateway.silent_ms === null ? 'never' : `${String(gateway.silent_ms)} ms ago`],
    ['Host', gateway.host ?? ''],
    ['Boot', gateway.boot ?? ''],
    ['Workers', String(gateway.workers ?? '?')],
    ['Contracts', (gateway.contracts ?? ['?']).join(', ')],
    ['Applied', columns.position(gateway.applied)],
    ['Behind', String(gateway.behind ?? '?')],
    ['In-flight', String(gateway.in_flight ?? '?')],
    ['Problems', gateway.problems.map((t) => `${t.kind} since ${t.since}: ${t.reason}`)],
    [
      'Rejected',
      gateway.rejected.map((r) => `${r.service} at generation ${String(r.generation)}: ${r.code}`),
    ],
  ];
}

function operationPairs(operation: OperationResource): Pairs {
  return [
    ['Operation', `${operation.id} (${operation.kind})`],
    ['State', operation.result ?? operation.state],
    ['By', `${operation.by} at ${operation.at}`],
    ['Reason', operation.reason],
    [
      'Deadline',
      operation.deadline === null ? 'none' : `${operation.deadline}, then ${operation.on_timeout}`,
    ],
    ['Ended', operation.ended_at ?? ''],
    ['Published', operation.published ? 'yes' : 'not yet'],
    [
      'Instances',
      operation.instances.map(
        (one) =>
          `${one.service}/${one.id} ${one.result ?? (one.drained ? 'drained' : 'draining')} ${pairs(one.in_flight)}`,
      ),
    ],
    ['Waits for', operation.waiting_for],
  ];
}
