import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import { productRoot } from '../cli/product.js';
import { parseRedisUrl } from '../model/redis_url.js';
import { HIGH_AVAILABILITY, readCompose, readComposeFile, type Service } from './compose.js';

/*
 * What docs/how-to/compose/high-availability.yml adds: three of each, which know one another. That no single one of them matters is shown by
 * e2e/high_availability.e2e.test.ts, which runs these very commands as processes.
 */

const { services, networks } = readCompose(productRoot(), HIGH_AVAILABILITY);
const named = (pattern: RegExp): readonly (readonly [string, Service])[] =>
  Object.entries(services).filter(([name]) => pattern.test(name));
const members = named(/^zookeeper/);
const servers = named(/^redis/);
const sentinels = named(/^sentinel-/);
const addressOf = ({ networks: own }: Service): string =>
  (own as Record<string, { ipv4_address: string }>).control!.ipv4_address;
const watchers = sentinels.map(([, one]) => addressOf(one));
const textOf = ({ command = [] }: Service): string => command.join('\n');

describe('ZooKeeper', () => {
  it('is three, each by a number of its own, and everybody knows all of them', () => {
    expect(members.map(([, { environment }]) => environment?.ZOO_MY_ID)).toEqual(['1', '2', '3']);
    const all = members.map(([name], n) => `server.${String(n + 1)}=${name}:2888:3888;2181`).join(' ');
    for (const [, { environment, image }] of members) {
      expect(environment?.ZOO_SERVERS).toBe(all);
      expect(image).toBe('zookeeper:3.9');
    }
    const clients = members.map(([name]) => `${name}:2181`).join(',');
    for (const [, { environment }] of named(/^(controller|shop)-\d+$/))
      expect(environment?.EBBGATE_ZOOKEEPER).toBe(clients);
  });

  it('differs in nothing but number and volumes', () => {
    const [first, ...others] = members.map(([, { environment, volumes: _, ...rest }]) => ({
      ...rest,
      environment: { ...environment, ZOO_MY_ID: '' },
    }));
    expect(others).toEqual([first, first]);
  });
});

it('says of a network all that was said of it before: Compose 1.29 merges no networks', () => {
  expect(readComposeFile(productRoot(), HIGH_AVAILABILITY).networks).toEqual({ control: networks.control });
});

describe('Redis', () => {
  it('is three with three sentinels, at addresses that nobody else is given', () => {
    const { subnet = '', ip_range = '' } = networks.control?.ipam?.config[0] ?? {};
    const all = [...servers, ...sentinels];
    expect([servers.length, sentinels.length, new Set(all.map(([, one]) => addressOf(one))).size]).toEqual([
      3, 3, 6,
    ]);
    for (const [, one] of all) {
      const address = ipaddr.parse(addressOf(one));
      expect(one.environment?.ADDRESS).toBe(addressOf(one));
      expect(address.match(ipaddr.parseCIDR(subnet))).toBe(true);
      expect(address.match(ipaddr.parseCIDR(ip_range))).toBe(false);
    }
  });

  it('differs in nothing but the address', () => {
    const [first, ...others] = servers.map(([, { environment: _, networks: __, ...rest }]) => rest);
    expect(others).toEqual([first, first]);
  });

  it('is found by all sentinels, whoever asks: a Redis that starts, controllers, gateways', () => {
    for (const [, one] of servers)
      expect(/for one in (.*); do/.exec(textOf(one))?.[1]).toBe(
        watchers.map((host) => `${host}:26379`).join(' '),
      );
    const asked = [
      services.secrets!.entrypoint!.at(-1)!,
      ...named(/^gateway-\d+-conf$/).map(([, one]) => textOf(one).match(/--redis=(.*)/)![1]!),
    ].map((url) => parseRedisUrl(url));
    expect(asked).toHaveLength(3);
    for (const one of asked)
      expect(one).toMatchObject({
        ok: true,
        value: { kind: 'sentinel', name: 'ebbgate', nodes: watchers.map((host) => ({ host, port: 26_379 })) },
      });
    // Their passwords are beside that of Redis.
    for (const [, { environment }] of named(/^gateway-\d+$/))
      expect(environment).toMatchObject({
        EBBGATE_REDIS_PASSWORD_FILE: '/secrets/redis-password',
        EBBGATE_REDIS_SENTINEL_PASSWORD_FILE: '/secrets/sentinel-password',
      });
  });

  it('has one at which all begin, and of three sentinels two agree', () => {
    const first = addressOf(servers[0]![1]);
    for (const [, one] of servers) expect(textOf(one)).toContain(`master:-${first} 6379`);
    for (const [, one] of sentinels)
      expect(textOf(one)).toContain(`sentinel monitor ebbgate ${first} 6379 2`);
  });
});
