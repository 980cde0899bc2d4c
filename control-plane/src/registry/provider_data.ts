import type { ProviderData } from '../model/ports.js';
import { jsonFormat } from './formats/json.js';
import { parseNetworks, type AllowedNetworks } from './networks.js';

const EVERYWHERE: AllowedNetworks = everywhere();

/**
 * What the json format would refuse in the data that an instance registers with, in one sentence; null if nothing. The
 * networks are not checked: those are the controller's to allow.
 */
export function flawOfProvider(service: string, data: ProviderData): string | null {
  const node = {
    service,
    name: data.id,
    path: data.id,
    data: Buffer.from(JSON.stringify(data)),
    incarnation: '',
    persistent: false,
  };
  const parsed = jsonFormat(EVERYWHERE).parse(node);
  return parsed.ok ? null : parsed.error.message;
}

function everywhere(): AllowedNetworks {
  const parsed = parseNetworks(['0.0.0.0/0', '::/0']);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}
