import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { productRoot } from '../cli/product.js';
import { dockerfiles, HIGH_AVAILABILITY, readCompose, type Service } from './compose.js';
import { mountPoints, type Owners } from './mount_points.js';

/*
 * Who owns each volume of the compose files once its containers were created, in whatever order. Docker gives an empty
 * volume to the owner of the mount point at every `create`, read-only mounts included, unless they say `nocopy`; Compose
 * 1.29 starts what others wait for before it creates those, Compose 2 creates all before it starts one.
 */

const root = productRoot();
const compose = readCompose(root);
const available = readCompose(root, HIGH_AVAILABILITY);

interface Mount {
  readonly service: string;
  readonly volume: string;
  readonly target: string;
  readonly reads: boolean;
  readonly copies: boolean;
}

/** What the official images have, by their own Dockerfiles. */
const OFFICIAL: Readonly<Record<string, Owners>> = {
  'zookeeper:3.9': new Map([
    ['/data', '1000'],
    ['/datalog', '1000'],
  ]),
  'redis:7-bookworm': new Map([['/data', '999']]),
};
const UIDS: Readonly<Record<string, string>> = { node: '1000', ebbgate: '10001', root: '0' };
const uidOf = (owner: string): string => {
  const name = owner.split(':')[0]!;
  return UIDS[name] ?? name;
};

/** The text of the Dockerfile of each image that is built here. */
const BUILT = new Map(
  [...dockerfiles(compose.services)].map(([image, file]) => [image, readFileSync(join(root, file), 'utf8')]),
);
const OWN = new Map([...BUILT].map(([image, text]) => [image, mountPoints(text)]));
function imageOf({ image }: Service): Owners {
  return (OWN.get(image) ?? OFFICIAL[image])!;
}
/** The uid that a service's container runs as. */
function runner({ user, image }: Service): string {
  if (user !== undefined) return uidOf(user);
  return uidOf([...BUILT.get(image)!.matchAll(/^USER (\S+)/gm)].at(-1)![1]!);
}

function mountsOf(services: Readonly<Record<string, Service>>): readonly Mount[] {
  return Object.entries(services).flatMap(([service, { volumes = [] }]) =>
    volumes.map((text) => {
      const [volume = '', target = '', options = ''] = text.split(':');
      const words = options.split(',');
      return { service, volume, target, reads: words.includes('ro'), copies: !words.includes('nocopy') };
    }),
  );
}

/** Whoever writes a volume while Ebbgate runs. */
const writersOf = (mounts: readonly Mount[], volume: string): readonly Mount[] =>
  mounts.filter((mount) => mount.volume === volume && !mount.reads && mount.service !== 'give-volumes');

/** The owner of a new volume after containers with these mounts were created one after the other. */
function ownerAfter(
  mounts: readonly Mount[],
  services: Readonly<Record<string, Service>>,
  images = imageOf,
): string {
  let owner = '0';
  let empty = true;
  for (const { service, target, copies } of mounts) {
    const image = images(services[service]!);
    if (!copies || !empty || !image.has(target)) continue;
    owner = uidOf(image.get(target)!);
    empty = ![...image.keys()].some((path) => path.startsWith(`${target}/`));
  }
  return owner;
}

function permutations<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length < 2) return [items];
  return items.flatMap((first, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [first, ...rest]),
  );
}

describe.each(
  [compose, available].flatMap(({ volumes, services }, index) =>
    Object.keys(volumes).map((volume) => ({
      volume,
      services,
      where: index === 0 ? '' : ' of the highly available',
    })),
  ),
)('the volume $volume$where', ({ volume, services }) => {
  const mounts = mountsOf(services);
  const all = mounts.filter((mount) => mount.volume === volume);

  it('is written by one service, which everybody else leaves the owner', () => {
    expect(writersOf(mounts, volume)).toHaveLength(1);
    const others = all.filter((mount) => mount !== writersOf(mounts, volume)[0]);
    expect(others.filter(({ copies }) => copies)).toEqual([]);
    for (const { service, reads } of others) expect(reads || service === 'give-volumes').toBe(true);
  });

  it('belongs to who writes it, in whatever order containers are created', () => {
    const writer = writersOf(mounts, volume)[0]!;
    const uid = runner(services[writer.service]!);
    for (const order of permutations(all)) expect(ownerAfter(order, services)).toBe(uid);
  });

  it('can be given to who writes it', () => {
    const given = all.find(({ service }) => service === 'give-volumes')?.target;
    const uid = runner(services[writersOf(mounts, volume)[0]!.service]!);
    expect(given).toBe(`/volumes/${uid}/${volume}`);
  });
});

describe('the same with readers that copy', () => {
  // What it was like: Compose 2 creates the gateway last.
  const services = Object.fromEntries(
    Object.entries(compose.services).map(([name, service]) => [
      name,
      { ...service, volumes: service.volumes?.map((text) => text.replace(/,?nocopy$/, '')) ?? [] },
    ]),
  );
  const orders = (volume: string, images = imageOf): ReadonlySet<string> => {
    const all = mountsOf(services).filter(
      (mount) => mount.volume === volume && mount.service !== 'give-volumes',
    );
    return new Set(permutations(all).map((order) => ownerAfter(order, services, images)));
  };

  it('would be found: a directory of root in the image of the gateway takes the volume of its conf', () => {
    const withRoot = (service: Service): Owners =>
      service.image.startsWith('ebbgate/gateway')
        ? new Map([...imageOf(service), ['/etc/ebbgate', 'root:root']])
        : imageOf(service);
    expect(orders('gateway-1-conf', withRoot)).toEqual(new Set(['0', '1000']));
  });

  it('would still go well, because no image has a directory of another owner there', () => {
    expect(orders('gateway-1-conf')).toEqual(new Set(['1000']));
    expect(orders('controller-secrets')).toEqual(new Set(['1000']));
  });
});

describe('a tmpfs', () => {
  const mounts = Object.entries(available.services).flatMap(([name, { tmpfs = [] }]) =>
    tmpfs.map((text) => [name, text] as const),
  );

  it('is what each Redis writes to', () => {
    expect(mounts.map(([name]) => name)).toEqual(['redis', 'redis-2', 'redis-3']);
  });

  // Docker gives it to root, and it has the mode of the directory in the image (755 in that of Redis), whatever `mode` says.
  it.each(mounts)('of %s belongs to whoever it runs as', (name, text) => {
    const [uid, gid] = available.services[name]!.user!.split(':');
    expect(text).toBe(`/data:uid=${uid},gid=${gid}`);
  });
});

describe('the images', () => {
  it.each([
    ['secrets', '/secrets/gateway', 'node:0'],
    ['tokens', '/tokens/gateway', 'node:0'],
    ['gateway-1-conf', '/etc/ebbgate', 'node:0'],
    ['gateway-1', '/var/lib/ebbgate', 'ebbgate:0'],
  ])('of %s gives %s to %s, so that any user with group 0 may write', (service, path, owner) => {
    expect(imageOf(compose.services[service]!).get(path)).toBe(owner);
  });

  it('of the gateway has nothing where the conf is mounted', () => {
    expect([...imageOf(compose.services['gateway-1']!).keys()]).toEqual(['/var/lib/ebbgate']);
  });
});
