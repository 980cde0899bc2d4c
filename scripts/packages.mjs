// Which apt packages Ebbgate needs, by what they give, and which of them fit this machine. Plain Node, no dependency,
// because it runs before anything is installed. It only looks; scripts/machine.mjs installs.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** True if `command` is an executable on the PATH. */
export function onPath(command) {
  return (process.env.PATH ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, command), constants.X_OK);
      return dir !== '';
    } catch {
      return false;
    }
  });
}

const lies = (file) => () => existsSync(file);
const runs = (command) => () => onPath(command);
const ZOOKEEPER_JARS = ['/usr/share/java/zookeeper.jar', '/usr/share/java/slf4j-simple.jar'];

// Each need: what it gives; the packages that give it, the better one first (releases differ, and some packages exclude
// one another); `found`, by which another installation of the same thing counts.
//
// libzookeeper-java is ZooKeeper's server without the `zookeeper` package's service scripts and without its desktop JRE.
const NGINX = [
  { gives: 'nginx', packages: ['nginx'] },
  { gives: 'Lua in nginx', packages: ['libnginx-mod-http-lua'] },
  { gives: "nginx' Lua library", packages: ['lua-resty-core'] },
  {
    gives: 'a client of Redis for it',
    packages: ['lua-nginx-redis'],
    found: lies('/usr/share/lua/5.1/nginx/redis.lua'),
  },
  { gives: 'JSON for it', packages: ['lua-cjson'] },
];
const SERVERS = [
  { gives: 'redis-server', packages: ['redis-server'], found: runs('redis-server') },
  {
    gives: "ZooKeeper's server",
    packages: ['libzookeeper-java'],
    found: () => ZOOKEEPER_JARS.every((jar) => existsSync(jar)),
  },
  {
    gives: 'java',
    packages: ['default-jre-headless', 'openjdk-21-jre-headless', 'openjdk-17-jre-headless'],
    found: runs('java'),
  },
];
const TESTS = [
  // Debian 12 has both, for the LuaJIT that its nginx does and does not use; Debian 13 has one, which nginx uses.
  { gives: 'luajit', packages: ['luajit2', 'luajit'], found: runs('luajit') },
  { gives: 'JSON for luajit', packages: ['lua-cjson'] },
  { gives: 'busted', packages: ['lua-busted'], found: runs('busted') },
  { gives: 'luacheck', packages: ['lua-check'], found: runs('luacheck') },
  { gives: "curl, for a gateway's leave", packages: ['curl'], found: runs('curl') },
  {
    gives: 'prometheus, which a gate of a release asks',
    packages: ['prometheus'],
    found: runs('prometheus'),
  },
  { gives: 'libfaketime, for a gateway whose wall clock is set', packages: ['libfaketime'] },
  { gives: 'kazoo, a registrant that is not ours', packages: ['python3-kazoo'] },
];

// What Ebbgate is compared with.
const BENCH = [{ gives: 'haproxy', packages: ['haproxy'], found: lies('/usr/sbin/haproxy') }];

/** What is needed and not there. With EBBGATE_NGINX set, nginx and its Lua come from elsewhere. */
export function missingNeeds({ tests = false, bench = false } = {}) {
  const nginx = process.env.EBBGATE_NGINX ? [] : NGINX;
  const needed = [...nginx, ...SERVERS, ...(tests ? TESTS : []), ...(bench ? BENCH : [])];
  const unknown = needed.filter((need) => !need.found?.());
  const installed = installedPackages(unknown.flatMap((need) => need.packages));
  return unknown.filter((need) => !need.packages.some((name) => installed.has(name)));
}

function installedPackages(names) {
  if (names.length === 0 || !onPath('dpkg-query')) return new Set();
  const asked = spawnSync('dpkg-query', [
    '-W',
    '-f=${binary:Package} ${db:Status-Status}\n',
    ...new Set(names),
  ]);
  const lines = String(asked.stdout).split('\n');
  return new Set(lines.filter((line) => line.endsWith(' installed')).map((line) => line.split(/[ :]/, 1)[0]));
}

/** True on Debian, Ubuntu and what calls itself like them. */
export function isDebianLike() {
  if (!onPath('apt-get') || !existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'));
}

/**
 * For each need the first package that can be installed together with those chosen before it, and removes nothing.
 * `objection(names)` is null, or why apt would not. `unmet` are the needs without one: what they give, and why not.
 */
export function choosePackages(needs, objection = simulate) {
  const first = [...new Set(needs.map((need) => need.packages[0]))];
  if (objection(first) === null) return { packages: first, unmet: [] };
  const packages = [];
  const unmet = [];
  for (const { gives, packages: candidates } of needs) {
    const reasons = [];
    const fits = (name) => {
      if (packages.includes(name)) return true;
      const why = objection([...packages, name]);
      if (why !== null) reasons.push(`${name}: ${why}`);
      return why === null;
    };
    const fit = candidates.find(fits);
    if (fit === undefined) unmet.push({ gives, reasons });
    else if (!packages.includes(fit)) packages.push(fit);
  }
  return { packages, unmet };
}

/** Why apt would not install these together, or what it would remove for them; null if it would just install them. */
export function simulate(names) {
  const words = ['-s', '-q', '--no-install-recommends', 'install', ...names];
  const asked = spawnSync('apt-get', words, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  return readSimulation(asked.status, asked.stdout, asked.stderr);
}

/** What a simulation of apt-get said, as `simulate` returns it. */
export function readSimulation(status, stdout, stderr) {
  if (status !== 0) {
    const lines = `${stderr}\n${stdout}`.split('\n').map((line) => line.replace(/^E: /, '').trim());
    const saysWhy = /no installation candidate|Unable to locate package|Depends: .* but/;
    return (
      lines.find((line) => saysWhy.test(line)) ?? (lines.find((line) => line !== '') || 'apt-get failed')
    );
  }
  const removed = [...stdout.matchAll(/^Remv (\S+)/gm)].map((match) => match[1]);
  return removed.length === 0 ? null : `would remove ${removed.join(' ')}`;
}
