/** Who a server is, by its INFO. A restart changes `run_id`, a failover `master_replid`. */
export interface ServerIdentity {
  readonly run_id: string;
  readonly master_replid: string;
  readonly role: string;
  /** True while it reads its snapshot and answers nothing else. */
  readonly loading: boolean;
}

/** Reads the text that INFO answers; members that it lacks are empty. */
export function parseIdentity(info: string): ServerIdentity {
  const fields = new Map<string, string>();
  for (const line of info.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return {
    run_id: fields.get('run_id') ?? '',
    master_replid: fields.get('master_replid') ?? '',
    role: fields.get('role') ?? '',
    loading: (fields.get('loading') ?? '0') !== '0',
  };
}

/** Why the data may have changed between two looks at a server, or null if nothing says so. */
export function describeChange(before: ServerIdentity | null, now: ServerIdentity | null): string | null {
  if (before === null || now === null) return null;
  if (before.run_id !== now.run_id) return 'another server answers (its run_id changed)';
  if (before.master_replid !== now.master_replid) return 'its master_replid changed (a failover)';
  return null;
}
