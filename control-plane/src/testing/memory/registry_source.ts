import type { ProviderData, RegistrySource } from '../../model/ports.js';
import type { Registration, RegistryProblem, RegistryState, RegistryView } from '../../model/registration.js';
import { err, ok, type Result } from '../../model/result.js';
import type { MemoryLink, MemoryNodes, ProviderNode, ServiceNodes } from './registry_nodes.js';

/** What the nodes of one service make. */
interface Composed {
  readonly instances: ReadonlyMap<string, Registration>;
  readonly problems: readonly RegistryProblem[];
}

/** The registry in memory as its source. It looks after every change there. */
export class MemoryRegistrySource implements RegistrySource {
  readonly #nodes: MemoryNodes;
  readonly #link: MemoryLink;
  readonly #listeners: ((state: RegistryState) => void)[] = [];
  readonly #composed = new WeakMap<ServiceNodes['providers'], Composed>();
  #leave: (() => void) | undefined;
  /** Which life of the registry is shown; null = whichever is there. */
  #life: number | null = null;
  #loss: string | null = null;
  /** What was pushed last, in short; a view is a gap after anything but a view. */
  #shown: readonly unknown[] = [];

  constructor(nodes: MemoryNodes, link: MemoryLink) {
    this.#nodes = nodes;
    this.#link = link;
  }

  onState(listener: (state: RegistryState) => void): void {
    this.#listeners.push(listener);
  }
  start(): Promise<void> {
    this.#leave ??= this.#nodes.onChange(() => {
      this.#look();
    });
    this.#look();
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.#leave?.();
    return Promise.resolve();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  loss(): string | null {
    return this.#loss;
  }
  acceptDataLoss(): void {
    if (this.#loss === null) return;
    this.#life = null;
    this.#look();
  }
  peek(): Promise<Result<RegistryView, string>> {
    const { away } = this.#link;
    return Promise.resolve(away === null ? ok(this.#view()) : err(away));
  }

  #look(): void {
    const { away } = this.#link;
    if (away !== null) {
      this.#push({ status: 'unknown', reason: away }, [away]);
      return;
    }
    this.#life ??= this.#nodes.life;
    this.#loss = this.#life === this.#nodes.life ? null : 'the registry was created anew';
    if (this.#loss !== null) this.#push({ status: 'data_loss', reason: this.#loss }, [this.#loss]);
    else {
      const gap = this.#shown[0] !== 'view';
      this.#push({ status: 'complete', view: this.#view(), gap }, [
        'view',
        ...[...this.#nodes.services()].flatMap(([service, { providers }]) => [service, providers]),
      ]);
    }
  }

  #push(state: RegistryState, what: readonly unknown[]): void {
    const same = what.length === this.#shown.length && what.every((one, at) => one === this.#shown[at]);
    if (same) return;
    this.#shown = what;
    for (const listener of this.#listeners) listener(state);
  }

  #view(): RegistryView {
    const services = [...this.#nodes.services()].sort(([a], [b]) => (a < b ? -1 : 1));
    const composed = services.map(
      ([service, nodes]) => [service, this.#compose(service, nodes.providers)] as const,
    );
    return {
      instances: new Map(
        composed.flatMap(([service, { instances }]) => (instances.size === 0 ? [] : [[service, instances]])),
      ),
      problems: composed.flatMap(([, { problems }]) => problems),
      unread: [],
      services: services.map(([service]) => service),
    };
  }

  #compose(service: string, nodes: ServiceNodes['providers']): Composed {
    const known = this.#composed.get(nodes);
    if (known !== undefined) return known;
    const problems: RegistryProblem[] = [];
    const instances = new Map<string, Registration>();
    // The youngest first: of two nodes with one id it is used.
    const byAge = [...nodes].sort(([, a], [, b]) => (a.incarnation < b.incarnation ? 1 : -1));
    for (const [name, node] of byAge) {
      const path = `/memory/${service}/${name}`;
      const said = { service, path, field: '' };
      if (node.data === null) problems.push({ ...said, code: 'bad_json', message: 'is not JSON' });
      else if (instances.has(node.data.id))
        problems.push({ ...said, code: 'duplicate_id', message: `id ${node.data.id} is taken` });
      else instances.set(node.data.id, registrationOf(service, path, node.data, node));
    }
    const sorted = new Map([...instances].sort(([a], [b]) => (a < b ? -1 : 1)));
    const composed = { instances: sorted, problems };
    this.#composed.set(nodes, composed);
    return composed;
  }
}

function registrationOf(
  service: string,
  path: string,
  data: ProviderData,
  { incarnation }: ProviderNode,
): Registration {
  return {
    ...{ version: '', weight: 100, zone: '', backup: false, labels: {}, ready: true, leaving: false },
    ...data,
    ...{ service, path, incarnation, persistent: false },
  };
}
