import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, type LocalProcess } from './process.js';
import { ask } from './redis.js';

/** A private Prometheus on 127.0.0.1 that scrapes `targets` (host:port) every 200 ms and keeps its data in `dir`. */
export async function launchPrometheus(options: {
  readonly dir: string;
  readonly port: number;
  readonly targets: readonly string[];
}): Promise<LocalProcess> {
  const { dir, port, targets } = options;
  mkdirSync(dir, { recursive: true });
  const file = join(dir, 'prometheus.json');
  // JSON is YAML.
  const config = {
    global: { scrape_interval: '200ms', scrape_timeout: '200ms' },
    scrape_configs: [{ job_name: 'test', static_configs: [{ targets }] }],
  };
  writeFileSync(file, JSON.stringify(config));
  return launch({
    name: `prometheus on port ${String(port)}`,
    command: 'prometheus',
    args: [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${String(port)}`,
    ],
    logFile: join(dir, 'prometheus.log'),
    readyTimeoutMs: 30_000,
    ready: () => ask(port, 'GET /-/ready HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n', ' 200 '),
  });
}
