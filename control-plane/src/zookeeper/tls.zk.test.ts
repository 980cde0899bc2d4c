import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { systemClock as clock } from '../clock.js';
import { reservePort } from '../local/port_reservation.js';
import { Authority } from '../testing/certificates.js';
import { must } from '../testing/must.js';
import { until } from '../testing/until.js';
import { useZooKeeper } from '../testing/zookeeper_rig.js';
import { readAccess, type TlsFiles } from './access.js';
import { accessProblems } from './access_problems.js';
import { connect, type ZooKeeperConnection } from './connection.js';

const certificates = mkdtempSync(join(tmpdir(), 'ebbgate-zk-tls-'));
afterAll(() => {
  rmSync(certificates, { recursive: true });
});
const authority = new Authority(certificates, 'ours');
const stranger = new Authority(certificates, 'theirs');
const client = authority.sign('controller');

/** A server with two doors; the one for TLS wants a certificate of the same authority. It takes no passwords. */
let securePort = 0;
const zk = useZooKeeper(async (dir) => {
  securePort = await reservePort();
  const own = authority.sign('zookeeper', 'DNS:localhost,IP:127.0.0.1');
  writeFileSync(join(dir, 'own.pem'), readFileSync(own.key, 'utf8') + readFileSync(own.cert, 'utf8'));
  return {
    jvm: ['-Dzookeeper.DigestAuthenticationProvider.enabled=false'],
    config: [
      'secureClientPortAddress=127.0.0.1',
      `secureClientPort=${String(securePort)}`,
      'serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory',
      ...[`ssl.keyStore.location=${join(dir, 'own.pem')}`, 'ssl.keyStore.type=PEM'],
      ...[`ssl.trustStore.location=${authority.ca}`, 'ssl.trustStore.type=PEM', 'ssl.clientAuth=need'],
    ],
  };
});

const GOOD: TlsFiles = { ca: authority.ca, ...client };

/** Opens a connection by TLS, as a link would. */
async function open(tls: TlsFiles, host = '127.0.0.1', port = securePort) {
  const access = await must(Promise.resolve(readAccess({ auth: '', tls })));
  const options = { sessionTimeoutMs: 6_000, connectTimeoutMs: 5_000, clock };
  const opened = await connect({ server: { host, port }, access, ...options });
  if (opened.ok) zk.open(opened.value);
  return opened;
}

/** Once more than a handshake was possible: where the client is refused, TLS 1.3 says so with the first answer. */
async function reasonOf(opened: Awaited<ReturnType<typeof open>>): Promise<string> {
  if (!opened.ok) return opened.error;
  return opened.value.lost;
}

describe('TLS to a ZooKeeper with certificates in PEM', () => {
  test.each(['127.0.0.1', 'localhost'])(
    'a session by the address %s: reads, writes, watches',
    async (host) => {
      const connection = await must<ZooKeeperConnection>(open(GOOD, host));
      const path = zk.path('tls');
      const seen: string[] = [];
      connection.onEvent((event) => seen.push(event.path));
      await must(connection.addTreeWatch(path));
      await must(connection.create(path, Buffer.alloc(500_000, 'x')));
      expect((await must(connection.getData(path))).data).toHaveLength(500_000);
      await until(() => expect(seen).toEqual([path]));
      // The plain door has the same tree.
      expect((await must((await zk.connection()).getData(path))).data).toHaveLength(500_000);
      await connection.close();
    },
  );

  test('an authority that nobody trusts, a wrong name, no certificate of the own, a plain port: each says what it is', async () => {
    expect(await reasonOf(await open({ ...GOOD, ca: stranger.ca }))).toMatch(/^TLS: .*certificate/);
    expect(await reasonOf(await open({ ...GOOD, ca: '' }))).toMatch(/^TLS: .*certificate/);
    expect(await reasonOf(await open(GOOD, '127.1'))).toMatch(/127\.1\. is not in the cert's altnames/);
    expect(await reasonOf(await open({ ca: authority.ca, cert: '', key: '' }))).toMatch(/^TLS: .*alert/);
    const other = stranger.sign('controller');
    expect(await reasonOf(await open({ ...GOOD, ...other }))).toMatch(/^TLS: .*alert/);
    expect(await reasonOf(await open({ ...GOOD, key: other.key }))).toMatch(/^TLS: .*key values mismatch/);
    expect(await reasonOf(await open(GOOD, '127.0.0.1', zk.port))).toMatch(/^TLS: .*disconnected/);
  });

  test('a client without TLS at the door for TLS has no session, and does not wait for ever', async () => {
    const options = { sessionTimeoutMs: 6_000, connectTimeoutMs: 2_000, clock };
    const opened = await connect({ server: { host: '127.0.0.1', port: securePort }, ...options });
    expect(opened.ok).toBe(false);
  });

  test('credentials that the server does not take: no session, and the reason names the file', async () => {
    const auth = join(certificates, 'auth');
    writeFileSync(auth, 'digest:ebbgate:secret', { mode: 0o600 });
    const link = zk.link({ access: () => readAccess({ auth, tls: null }) });
    await link.start();
    await until(() => expect(link.state().detail).toBe(`ZooKeeper refused the credentials of ${auth}`));
    const permissions = { refused: () => new Map<string, string>() };
    expect(accessProblems(link, permissions, auth)).toMatchObject([{ code: 'unusable_credentials' }]);
    expect(link.connection).toBeNull();
    expect(JSON.stringify(zk.log.lines)).not.toContain('secret');
  });

  test('certificates are read again for each connection: a link finds its way once they are right', async () => {
    const ca = join(certificates, 'changing.pem');
    writeFileSync(ca, readFileSync(stranger.ca));
    const link = zk.link({
      to: securePort,
      access: () => readAccess({ auth: '', tls: { ...GOOD, ca } }),
    });
    await link.start();
    await until(() => expect(link.state().detail).toMatch(/certificate/));
    expect(link.connection).toBeNull();
    writeFileSync(ca, readFileSync(authority.ca));
    await until(() => expect(link.connection).not.toBeNull());
    const session = link.connection!.sessionId;
    // What is connected stays so, whatever becomes of the file.
    writeFileSync(ca, readFileSync(stranger.ca));
    await must(link.connection!.exists('/'));
    expect(link.connection!.sessionId).toBe(session);
  });
});
