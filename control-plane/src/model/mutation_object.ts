import type { Mutation, Selector } from './mutation.js';

/** What a mutation is asked for, as it was named: the same words in the log and in the audit. */
export function objectOf(mutation: Mutation): string {
  if ('service' in mutation) return mutation.service;
  if ('selector' in mutation) return spellSelector(mutation.selector);
  if ('gateway' in mutation) return mutation.gateway;
  switch (mutation.kind) {
    case 'create_token':
    case 'revoke_token':
    case 'create_consumer':
    case 'change_consumer':
    case 'delete_consumer':
      return mutation.name;
    case 'add_key':
    case 'revoke_key':
      return `${mutation.name}/${mutation.id}`;
    case 'cancel_operation':
      return mutation.id;
    case 'undo':
      return mutation.record === null ? 'last' : `record ${String(mutation.record)}`;
    case 'forget_gateways':
      return [...mutation.gateways, ...(mutation.never_heard ? ['never heard'] : [])].join(' ');
    case 'accept_data_loss':
    case 'restore_copy':
      return 'zookeeper';
    default:
      return '*';
  }
}

/** `shop/10.0.1.7:8080` for one instance, else what is given of it: `service=shop version=v1`. */
function spellSelector({ service, ids, all, ...labels }: Selector): string {
  if (service !== undefined && ids?.length === 1) return `${service}/${ids[0] ?? ''}`;
  const named = Object.entries({ service, ...labels, ids: ids?.join(',') });
  const given = named.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return [...given, ...(all === true ? ['all'] : [])].join(' ');
}
