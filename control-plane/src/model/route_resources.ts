import type { RouteSpec } from './route.js';

/*
 * What the API says of routes, exactly as its JSON.
 */

/** A route as it is published; `name` is there for each. */
export interface RouteResource extends RouteSpec {
  readonly service: string;
  readonly name: string;
}

/** A request as a route is asked for it, as it was given. */
export interface RouteQuestion {
  readonly method: string;
  /** `http(s)://host/path?query`, or `/path?query` for a host that no route names. */
  readonly url: string;
  /** Name and value; several of one name are several lines. */
  readonly headers: readonly (readonly [string, string])[];
  /** An IP address; null = not known. */
  readonly client: string | null;
}

/** Which route a request takes, and why. */
export interface RouteTestResource {
  /** As a gateway reads it. */
  readonly request: {
    readonly method: string;
    readonly host: string;
    readonly path: string;
    readonly query: string;
  };
  /** null = none: the gateway answers 404. */
  readonly route: RouteResource | null;
  /** What the route asks for, each met by the request. */
  readonly why: readonly string[];
  /** The nearest others: what of each the request does not meet, or what comes before it. */
  readonly others: readonly { readonly route: RouteResource; readonly why: readonly string[] }[];
}
