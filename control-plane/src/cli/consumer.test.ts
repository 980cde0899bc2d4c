import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { expect, it } from 'vitest';
import { ebbgate, served, useApi } from '../testing/cli_rig.js';

useApi();

it('makes a consumer and gives it a key, which alone is on standard output, once', async () => {
  const made = await ebbgate('consumer create acme --services shop,cart-* --networks 10.0.0.0/8 --reason x');
  expect([made.code, made.out]).toEqual([0, expect.stringContaining('next: ebbgate consumer key add acme')]);
  const added = await ebbgate('consumer key add acme --expires 30d');
  expect(added.code).toBe(0);
  expect(added.out).toMatch(/^ebk_[A-Za-z0-9_-]{43}\n$/);
  expect(added.err).toMatch(/^key [0-9a-f]{12} of acme until 2026-05-31T12:00:00.000Z\n$/);
  const key = added.out.trim();
  const shown = [
    await ebbgate('consumer list'),
    await ebbgate('consumer list -o json'),
    await ebbgate('consumer get acme'),
    await ebbgate('consumer get acme -o json'),
  ];
  expect(shown[0]?.out).toMatch(/^CONSUMER +SERVICES +NETWORKS +KEYS\nacme +shop,cart-\* +10.0.0.0\/8 +1\n$/);
  expect(shown[2]?.out).toContain('2026-05-31T12:00:00.000Z');
  for (const { out } of shown) expect(out).not.toContain(key);
  expect(JSON.stringify([...served.plane.consumers.records])).not.toContain(key);
  const [record] = served.plane.consumers.records.get('acme')?.keys ?? [];
  expect((await ebbgate(`consumer key revoke acme ${record?.id ?? ''}`)).code).toBe(0);
  expect(served.plane.consumers.records.get('acme')?.keys).toEqual([]);
  expect((await ebbgate('consumer set acme --networks any --services *')).code).toBe(0);
  expect(served.plane.consumers.records.get('acme')).toMatchObject({ services: ['*'], networks: [] });
  expect((await ebbgate('consumer delete acme')).code).toBe(0);
  expect((await ebbgate('consumer get acme')).code).not.toBe(0);
});

it('takes a key that is brought along from a file, never from the command line', async () => {
  const file = join(mkdtempSync(join(tmpdir(), 'ebbgate-key-')), 'key');
  writeFileSync(file, 'from-another-gateway-1\n');
  await ebbgate('consumer create acme');
  const added = await ebbgate(`consumer key add acme --from-file ${file}`);
  expect([added.code, added.out]).toEqual([0, '']);
  expect(served.plane.consumers.records.get('acme')?.keys).toHaveLength(1);
  expect(await ebbgate('consumer key add acme --from-file /nowhere/at/all')).toMatchObject({ code: 2 });
  const dry = await ebbgate('consumer key add acme --dry-run');
  expect([dry.code, dry.out, dry.err]).toEqual([0, '', 'would give a key of acme\n']);
});
