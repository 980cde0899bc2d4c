import type { Position } from './position.js';

/** What a gateway says of itself every second (contract: docs/contract/wire.md). */
export interface Heartbeat {
  readonly v: 1;
  readonly id: string;
  /** New at every start of nginx, kept over reloads. */
  readonly boot: string;
  readonly host: string;
  /** Grows with every beat of one boot. */
  readonly seq: number;
  /** Living worker processes, exiting ones included. */
  readonly workers: number;
  /** Unix seconds. */
  readonly started: number;
  /** The versions of the set document that all its workers understand. */
  readonly contracts: readonly number[];
  /** Everything published up to here is in force in every worker; null before the first catch-up. */
  readonly applied: Position | null;
  readonly rejected: readonly {
    readonly service: string;
    readonly generation: number;
    readonly code: string;
  }[];
  /** `service|instance` → open requests; what is absent is 0. */
  readonly in_flight: Readonly<Record<string, number>>;
  /** Open requests that could not be counted by instance; while above 0 nothing is proven. */
  readonly uncounted: number;
  /** `service|instance` → how it fares there, for those that are not simply healthy. Absent = none. */
  readonly health?: Readonly<Record<string, ReportedHealth>> | undefined;
  /** How many of them found no room in `health`: then who is absent there may be anything. Absent = 0. */
  readonly health_unlisted?: number | undefined;
  /** Services in which too many instances are out, so that health is ignored. Absent = none. */
  readonly panic?: readonly string[] | undefined;
  /** Service → why its breaker is open there. Absent = none is. */
  readonly breakers?: Readonly<Record<string, ReportedHealth>> | undefined;
  /** What is wrong with the gateway itself. Absent = nothing. */
  readonly problems?: readonly GatewayProblem[] | undefined;
}

/** Something that is wrong with a gateway, as it says itself. */
export interface GatewayProblem {
  /** `disk`, `memory`, `rejected` …; a newer gateway may know more (docs/contract/wire.md). */
  readonly kind: string;
  readonly reason: string;
  /** Unix seconds. */
  readonly since: number;
}

/** What one gateway makes of one instance, or of a service. */
export interface ReportedHealth {
  /** `ejected`, `failing`, `half_open`, `warming`, of a service `open`; a newer gateway may know more. */
  readonly state: string;
  readonly reason: string;
  /** Unix seconds. */
  readonly since: number;
}

/** A gateway's entry in ZooKeeper: it blocks every drain until it is heard, forgotten or left. */
export interface RosterEntry {
  readonly id: string;
  readonly boot: string;
  readonly host: string;
  /** RFC 3339. */
  readonly since: string;
  /** The versions of the set document that it understood when it was heard last. Absent = only the oldest. */
  readonly contracts?: readonly number[];
  /** Present once it has gone: it counts no more, until it is heard again. */
  readonly gone?: Departure;
}

/** When and how a gateway went. */
export interface Departure {
  /** RFC 3339. */
  readonly at: string;
  /** `left`: whatever stopped it said so. `forgotten`: a person vouched for it. */
  readonly how: 'left' | 'forgotten';
}

/** Who was asked for a proof, and who was not, because it had gone before. */
export interface Asked {
  /** Gateways whose reports the proof rests on, by id. */
  readonly asked: readonly string[];
  /** Gateways that went within the last day, the newest first, at most 20: should one serve again and not be heard, the proof does not cover it. */
  readonly not_asked: readonly (Departure & { readonly id: string })[];
}

/** The newest heartbeat of a gateway, and the monotonic moment (ms) at which it last changed. */
export interface HeardGateway {
  readonly heartbeat: Heartbeat;
  readonly changed_at: number;
}

/** Everything heard from the gateways. */
export interface FleetReport {
  /** False until every gateway that Redis knows has been read once since the start: before that nothing is known. */
  readonly complete: boolean;
  readonly heard: ReadonlyMap<string, HeardGateway>;
  /**
   * Names that Redis lists and whose heartbeat was never heard, with the unix second that is written there. Whoever may write the
   * list can make them up, so they are shown and count for nothing; a bounded number of them is kept.
   */
  readonly listed: ReadonlyMap<string, number>;
  /** How many more such names there were at the last look. Absent = none. */
  readonly listed_more?: number;
  /** How many gateways beat and are not heard, there being too many: while above 0 nothing is proven. Absent = none. */
  readonly turned_away?: number;
}

/** The key of an instance in `in_flight`. Neither part may contain a pipe. */
export function inFlightKey(service: string, instance: string): string {
  return `${service}|${instance}`;
}
