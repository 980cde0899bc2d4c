import {
  createProviderRegistration,
  flawOfProvider,
  createRecordingLog,
  startTcpProxy,
  type ProxyMode,
  ZooKeeperLink,
  systemClock,
} from '../../control-plane/src/testkit.js';
import { startInstance, type Instance } from './instance.js';

/** An instance of this process with a registration of its own, in a session of its own. */
export interface RegisteredInstance extends Instance {
  /** Writes another weight into its registration. */
  weigh(weight: number): Promise<void>;
  /** Writes another version into its registration, as if it had been upgraded. */
  become(version: string): Promise<void>;
  /** Says `leaving`; the registration stays until `withdraw`. */
  leave(): Promise<void>;
  /** Takes the registration away, then stops listening. */
  withdraw(): Promise<void>;
  /** Takes its way to ZooKeeper away, or gives it back; it serves on. */
  readonly cutOff: (cut: boolean) => void;
  /** Gone without a word: connections are cut, its session runs out. May be called twice. */
  die(): Promise<void>;
}

/** Sessions of the instances, in milliseconds: half of a controlled platform's settle time. */
export const PROVIDER_SESSION_MS = 2_000;

/** Starts an instance and registers it as `ebbgate register` would. */
export async function startRegisteredInstance(options: {
  readonly service: string;
  /** The ports of the servers. */
  readonly zookeeper: readonly number[];
  readonly port?: number;
  readonly id?: string;
  readonly version?: string;
  readonly weight?: number;
  readonly zone?: string;
  readonly backup?: boolean;
  readonly status?: number;
  readonly behave?: Parameters<typeof startInstance>[0]['behave'];
}): Promise<RegisteredInstance> {
  const instance = await startInstance(options);
  const { id, service, host, port, version } = instance;
  // Through doors that can be slammed, so that a death leaves the session open as a real one does.
  const doors = await Promise.all(options.zookeeper.map((server) => startTcpProxy(server)));
  const setDoors = (mode: ProxyMode): void => {
    for (const door of doors) door.setMode(mode);
  };
  const closeDoors = () => Promise.all(doors.map((door) => door.close()));
  const link = new ZooKeeperLink({
    connect: doors.map((door) => `127.0.0.1:${String(door.port)}`).join(','),
    sessionTimeoutMs: PROVIDER_SESSION_MS,
    log: createRecordingLog(),
    clock: systemClock,
    random: Math.random,
  });
  const registration = createProviderRegistration({
    link,
    root: '/services',
    service,
    node: id,
    check: flawOfProvider,
  });
  await registration.start();
  await link.start();
  const { weight, zone, backup } = options;
  const given = {
    ...(weight === undefined ? {} : { weight }),
    ...(zone === undefined ? {} : { zone }),
    ...(backup === undefined ? {} : { backup }),
  };
  const data = { id, host, port, version, ready: true, ...given };
  await registration.set(data);
  let ended: Promise<void> | undefined;
  return {
    ...instance,
    cutOff: (cut) => {
      setDoors(cut ? 'cut' : 'pass');
    },
    become: (next) => registration.set({ ...data, version: next }),
    weigh: (next) => registration.set({ ...data, weight: next }),
    leave: () => registration.set({ ...data, leaving: true }),
    withdraw: () =>
      (ended ??= (async () => {
        await registration.withdraw();
        await registration.close();
        await link.close();
        await closeDoors();
        await instance.stop();
      })()),
    die: () =>
      (ended ??= (async () => {
        setDoors('cut');
        await Promise.all([instance.stop(), link.close()]);
        await registration.close();
        await closeDoors();
      })()),
  };
}
