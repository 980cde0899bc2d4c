import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { launchGateway, type LocalGateway } from './gateway.js';
import { reservePort } from './port_reservation.js';

/** nginx alone, without Lua: what is asked about is the launcher. It answers one byte per second. */
async function start(graceMs: number, nginx = process.env.EBBGATE_NGINX): Promise<LocalGateway> {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-gateway-'));
  const [port, adminPort] = [await reservePort(), await reservePort()];
  mkdirSync(join(dir, 'temp'));
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (one) => `${one}_temp_path temp/${one};`,
  );
  const conf = `daemon off;
worker_processes 2;
pid nginx.pid; error_log error.log;
    events {} http { access_log off; ${temp.join(' ')}
      server { listen 127.0.0.1:${String(port)}; location / { limit_rate 1; root ${dir}; } }
      server { listen 127.0.0.1:${String(adminPort)}; location / { return 200; } } }`;
  return launchGateway({ id: 'gw', dir, port, adminPort, conf, graceMs, ...(nginx ? { nginx } : {}) });
}

function lives(pid: number): boolean {
  return existsSync(`/proc/${String(pid)}`);
}

/** A request that takes nginx many seconds to answer. */
async function slowRequest(gateway: LocalGateway): Promise<void> {
  const socket = connect({ port: Number(new URL(gateway.url).port), host: '127.0.0.1' });
  socket.on('error', () => undefined);
  socket.write('GET /nginx.conf HTTP/1.0\r\n\r\n');
  await once(socket, 'data');
}

test('starts, reloads into new workers under the same master, stops without leaving a process', async () => {
  await using gateway = await start(5_000);
  const first = gateway.workers();
  expect(first).toHaveLength(2);
  await gateway.reload();
  expect(gateway.workers().filter((pid) => !first.includes(pid))).toHaveLength(2);
  const all = [gateway.pid, ...gateway.workers()];
  await Promise.all([gateway.stop(), gateway.stop()]);
  expect(await gateway.exited).toBe(0);
  expect(all.filter(lives)).toEqual([]);
});

test('a request that does not end is cut after the grace time, workers included', async () => {
  const gateway = await start(300);
  await slowRequest(gateway);
  const all = [gateway.pid, ...gateway.workers()];
  const began = performance.now();
  await gateway.stop();
  expect(performance.now() - began).toBeGreaterThan(290);
  expect(all.filter(lives)).toEqual([]);
});

test('a conf that nginx cannot read: the start fails with its reason', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ebbgate-gateway-'));
  const [port, adminPort] = [await reservePort(), await reservePort()];
  const start = launchGateway({ id: 'gw', dir, port, adminPort, conf: 'daemon off; nonsense;' });
  await expect(start).rejects.toThrow(/unknown directive "nonsense"/);
});

test('another binary can be named', async () => {
  await expect(start(100, '/no/such/nginx')).rejects.toThrow(/\/no\/such\/nginx/);
});
