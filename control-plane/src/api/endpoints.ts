import type { ControlPlane } from '../model/control_plane.js';
import type { Clock } from '../model/ports.js';
import type { RandomBytes } from './auth/secret.js';
import type { Endpoint } from './endpoint.js';
import { openApi } from './openapi.js';
import { auditEndpoints } from './routes/audit.js';
import { breakerEndpoints } from './routes/breakers.js';
import { consumerEndpoints } from './routes/consumers.js';
import { copyEndpoints } from './routes/copies.js';
import { controllerEndpoints } from './routes/controllers.js';
import { freezeEndpoints } from './routes/freezes.js';
import { gatewayEndpoints } from './routes/gateways.js';
import { healthEndpoints } from './routes/health.js';
import { instanceEndpoints } from './routes/instances.js';
import { operationEndpoints } from './routes/operations.js';
import { intentEndpoints } from './routes/intents.js';
import { problemEndpoints } from './routes/problems.js';
import { protectionEndpoints } from './routes/protection.js';
import { routeEndpoints } from './routes/routes.js';
import { releaseEndpoints } from './routes/releases.js';
import { selectionEndpoints } from './routes/selections.js';
import { serviceEndpoints } from './routes/services.js';
import { tokenEndpoints } from './routes/tokens.js';
import { createWait } from './wait.js';

/** What the routes are made from. */
export interface EndpointParts {
  readonly plane: ControlPlane;
  readonly clock: Clock;
  readonly version: string;
  readonly randomBytes: RandomBytes;
  readonly metrics: () => Promise<string>;
}

/** Every route, one list per noun. */
export function endpoints(parts: EndpointParts): readonly (readonly Endpoint[])[] {
  const wait = createWait(parts.plane, parts.clock);
  let document: unknown;
  const nouns: readonly (readonly Endpoint[])[] = [
    serviceEndpoints(parts.plane, wait),
    instanceEndpoints(parts.plane),
    routeEndpoints(parts.plane),
    selectionEndpoints(parts.plane),
    operationEndpoints(parts.plane, wait),
    releaseEndpoints(parts.plane, wait, parts.clock),
    intentEndpoints(parts.plane),
    auditEndpoints(parts.plane, parts.clock),
    problemEndpoints(parts.plane),
    freezeEndpoints(parts.plane),
    breakerEndpoints(parts.plane),
    gatewayEndpoints(parts.plane),
    controllerEndpoints(parts.plane),
    protectionEndpoints(parts.plane),
    copyEndpoints(parts.plane),
    tokenEndpoints(parts.plane, parts.randomBytes),
    consumerEndpoints(parts.plane, parts.randomBytes),
    healthEndpoints(parts.plane, parts.metrics, () => (document ??= openApi(nouns.flat(), parts.version))),
  ];
  return nouns;
}
