import type { Log, RegistrySource } from '../model/ports.js';
import type { RegistryState, RegistryView } from '../model/registration.js';
import type { RegistryRoot } from '../model/registry_format.js';
import { ok, type Result } from '../model/result.js';
import type { ZooKeeperLink } from './link.js';
import {
  composeService,
  composeView,
  recomposeView,
  type ParsedNode,
  type ServiceChange,
  type ServiceView,
} from './view.js';
import { WatchedRoot } from './watched_root.js';

export interface RegistrySourceOptions {
  /** At least one; several may be watched at once, each in its own format. */
  readonly roots: readonly RegistryRoot[];
  /**
   * Create a root that is missing at the first contact (a fresh installation). Default true. After the first contact
   * a missing root is data loss in any case.
   */
  readonly createRoots?: boolean;
}

/** Throws if there is no root. */
export function createRegistrySource(link: ZooKeeperLink, options: RegistrySourceOptions): RegistrySource {
  if (options.roots.length === 0) throw new TypeError('at least one registry root is needed');
  return new TreeRegistrySource(link, options);
}

class TreeRegistrySource implements RegistrySource {
  readonly #log: Log;
  readonly #roots: readonly WatchedRoot[];
  readonly #listeners: ((state: RegistryState) => void)[] = [];
  /** Service → what all its nodes make, over all roots; null means nodes of none. */
  readonly #services = new Map<string | null, ServiceView>();
  #view: RegistryView | null = null;
  #status = '';

  constructor(link: ZooKeeperLink, options: RegistrySourceOptions) {
    this.#log = link.log;
    this.#roots = options.roots.map(
      ({ path, format }) =>
        new WatchedRoot(link, {
          path,
          format,
          create: options.createRoots ?? true,
          changed: () => {
            this.#onChange();
          },
        }),
    );
  }

  onState(listener: (state: RegistryState) => void): void {
    this.#listeners.push(listener);
  }

  start(): Promise<void> {
    for (const root of this.#roots) root.tree.start();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await Promise.all(this.#roots.map((root) => root.tree.close()));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  acceptDataLoss(): void {
    for (const root of this.#roots) root.tree.acceptLoss();
  }

  loss(): string | null {
    return this.#roots.map((root) => root.tree.loss).find((loss) => loss !== null) ?? null;
  }

  async peek(): Promise<Result<RegistryView, string>> {
    const found = new Map<string | null, ParsedNode[]>();
    for (const root of this.#roots) {
      const nodes = await root.tree.peek();
      if (!nodes.ok) return nodes;
      for (const [service, said] of root.parse(nodes.value))
        found.set(service, [...(found.get(service) ?? []), ...said]);
    }
    return ok(composeView(new Map([...found].map(([service, said]) => [service, composeService(said)]))));
  }

  #onChange(): void {
    const states = this.#roots.map((root) => root.state);
    const bad =
      states.find((state) => isBad(state) && state.status === 'unknown') ?? states.find(isBad) ?? null;
    if (isBad(bad)) {
      // Several roots lose the same connection: that is reported once.
      const status = `${bad.status} ${bad.reason}`;
      if (this.#status !== status) this.#push(bad);
      this.#status = status;
      return;
    }
    if (states.includes(null)) return;
    const gaps = this.#roots.map((root) => root.takeGap());
    this.#status = '';
    this.#push({ status: 'complete', view: this.#compose(), gap: gaps.includes(true) });
  }

  /** The view of now: composed again for the services of which a node has changed. */
  #compose(): RegistryView {
    const changes = new Map<string | null, ServiceChange>();
    for (const service of new Set(this.#roots.flatMap((root) => [...root.takeChanged()]))) {
      const said = this.#roots.flatMap((root) => root.said(service));
      const was = this.#services.get(service);
      const is = said.length > 0 ? composeService(said) : undefined;
      if (is) this.#services.set(service, is);
      else this.#services.delete(service);
      changes.set(service, { was, is });
    }
    const recomposed = this.#view && recomposeView(this.#view, changes);
    this.#view = recomposed ?? composeView(this.#services, this.#view);
    return this.#view;
  }

  #push(state: RegistryState): void {
    for (const listener of this.#listeners) {
      try {
        listener(state);
      } catch (error) {
        this.#log.error({ error: String(error) }, 'a registry listener threw');
      }
    }
  }
}

type RootState = WatchedRoot['state'];

function isBad(state: RootState): state is Exclude<RootState, 'complete' | null> {
  return state !== null && state !== 'complete';
}
