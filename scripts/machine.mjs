// Makes the machine ready: the apt packages Ebbgate runs on. Plain Node, no dependency, because it runs before
// anything is installed. Promise: it never starts, stops, reloads or enables a service of this machine.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

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

const ZOOKEEPER_JARS = ['/usr/share/java/zookeeper.jar', '/usr/share/java/slf4j-simple.jar'];

// `found` lets another installation of the same thing count. libzookeeper-java is ZooKeeper's server without the
// `zookeeper` package's service scripts and without its desktop JRE.
const NGINX = [
  { package: 'nginx' },
  { package: 'libnginx-mod-http-lua' },
  { package: 'lua-resty-core' },
  { package: 'lua-nginx-redis' },
  { package: 'lua-cjson' },
];
const SERVERS = [
  { package: 'redis-server', found: () => onPath('redis-server') },
  { package: 'libzookeeper-java', found: () => ZOOKEEPER_JARS.every((jar) => existsSync(jar)) },
  { package: 'default-jre-headless', found: () => onPath('java') },
];
// `luajit` and `luajit2` exclude each other, and either will do.
const TESTS = [
  { package: 'luajit2', found: () => onPath('luajit') },
  { package: 'lua-cjson' },
  { package: 'lua-busted', found: () => onPath('busted') },
  { package: 'lua-check', found: () => onPath('luacheck') },
  { package: 'curl', found: () => onPath('curl') }, // a gateway's leave
  { package: 'prometheus', found: () => onPath('prometheus') }, // what a gate of a release asks
  { package: 'libfaketime' }, // a gateway whose wall clock is set
];

// What Ebbgate is compared with.
const BENCH = [{ package: 'haproxy', found: () => existsSync('/usr/sbin/haproxy') }];

/** The packages that are needed and not there. With EBBGATE_NGINX set, nginx and its Lua come from elsewhere. */
export function missingPackages({ tests = false, bench = false } = {}) {
  const nginx = process.env.EBBGATE_NGINX ? [] : NGINX;
  const needed = [...nginx, ...SERVERS, ...(tests ? TESTS : []), ...(bench ? BENCH : [])];
  const unknown = needed.filter((need) => !need.found?.());
  const names = [...new Set(unknown.map((need) => need.package))];
  const installed = installedPackages(names);
  return names.filter((name) => !installed.has(name));
}

function installedPackages(names) {
  if (names.length === 0 || !onPath('dpkg-query')) return new Set();
  const asked = spawnSync('dpkg-query', ['-W', '-f=${binary:Package} ${db:Status-Status}\n', ...names]);
  const lines = String(asked.stdout).split('\n');
  return new Set(lines.filter((line) => line.endsWith(' installed')).map((line) => line.split(/[ :]/, 1)[0]));
}

function isDebianLike() {
  if (!onPath('apt-get') || !existsSync('/etc/os-release')) return false;
  return /^ID(_LIKE)?=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8'));
}

/** How to become root: [] as root, sudo without a password, sudo that may ask on this terminal; null = no way. */
function rootCommand() {
  if (process.getuid?.() === 0) return [];
  if (!onPath('sudo')) return null;
  if (spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n'];
  return process.stdin.isTTY ? ['sudo'] : null;
}

// Runs as root with the packages as arguments. A policy-rc.d that answers 101 keeps every maintainer script from
// touching a service; it is put in place only if there is none and is always removed again. A module's package
// also switches itself on in the machine's own nginx: where there was one before, that is taken back. The lock
// keeps a second run from losing the policy half way.
const INSTALL = `
set -u
exec 9>/run/lock/ebbgate-machine.lock && flock 9
policy=/usr/sbin/policy-rc.d
placed=
cleanup() { [ -z "$placed" ] || rm -f "$policy"; }
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$policy" ] || grep -q 'placed by ebbgate' "$policy"; then
  placed=yes
  printf '%s\\n' '#!/bin/sh' '# placed by ebbgate while it installs packages' 'exit 101' >"$policy"
  chmod 755 "$policy"
fi
has_unit() { [ -e "/lib/systemd/system/$1.service" ] || [ -e "/usr/lib/systemd/system/$1.service" ] || [ -e "/etc/systemd/system/$1.service" ] || [ -e "/etc/init.d/$1" ]; }
new=
for unit in nginx redis-server zookeeper haproxy prometheus; do has_unit "$unit" || new="$new $unit"; done
links=/etc/nginx/modules-enabled
before=$(ls "$links" 2>/dev/null)
had_nginx=
[ -e /etc/nginx/nginx.conf ] && had_nginx=yes
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
wait_for_lock='-o DPkg::Lock::Timeout=300'
tries=1
until apt-get $wait_for_lock -q update; do
  [ "$tries" -ge 3 ] && { echo 'apt-get update failed; trying with the package lists there are'; break; }
  tries=$((tries + 1))
  sleep 3
done
apt-get $wait_for_lock -q -y --no-install-recommends install "$@"
result=$?
for unit in $new; do
  has_unit "$unit" || continue
  if command -v systemctl >/dev/null 2>&1; then systemctl disable --quiet "$unit" 2>/dev/null
  elif command -v update-rc.d >/dev/null 2>&1; then update-rc.d "$unit" disable >/dev/null 2>&1
  fi
done
if [ -n "$had_nginx" ]; then
  for link in "$links"/*; do
    [ -L "$link" ] || continue
    printf '%s\\n' "$before" | grep -qxF "\${link##*/}" || rm -f "$link"
  done
fi
exit "$result"
`;

function giveUp(missing, why) {
  console.error(
    [
      `Ebbgate needs packages that are not installed: ${missing.join(' ')}`,
      why,
      'On Debian 12 or Ubuntu, install them and come back:',
      `  sudo apt-get update && sudo apt-get install --no-install-recommends ${missing.join(' ')}`,
      'Or run it in containers:',
      '  docker compose up',
    ].join('\n'),
  );
  process.exit(1);
}

/** Installs what is missing, or says how to and exits 1. Costs a few milliseconds when nothing is missing. */
export async function readyMachine(options) {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    console.error(`Ebbgate needs Node 20 or newer; this is ${process.version}.`);
    process.exit(1);
  }
  const missing = missingPackages(options);
  if (missing.length === 0) return;
  if (!isDebianLike()) giveUp(missing, 'This system is neither Debian nor Ubuntu.');
  const root = rootCommand();
  if (root === null) giveUp(missing, 'They can only be installed by root or with sudo.');
  console.log(`Installing ${missing.join(' ')} (no service is started or changed)`);
  const code = await runToEnd([...root, 'sh', '-c', INSTALL, 'sh', ...missing]);
  const still = missingPackages(options);
  if (still.length > 0) giveUp(still, `apt-get ended with exit code ${String(code)}; its output is above.`);
}

/** Ctrl-C reaches apt by itself; this process must outlive it so that the clean-up is seen to its end. */
async function runToEnd([command, ...args]) {
  let signalled;
  const note = (signal) => (signalled = signal);
  process.on('SIGINT', note).on('SIGTERM', note);
  const code = await new Promise((resolve) => {
    const child = spawn(command, args, { stdio: 'inherit' });
    process.once('SIGTERM', () => child.kill('SIGTERM'));
    child.once('error', () => resolve(127)).once('exit', (status) => resolve(status ?? 1));
  });
  process.off('SIGINT', note).off('SIGTERM', note);
  if (signalled) process.exit(signalled === 'SIGINT' ? 130 : 143);
  return code;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await readyMachine({ tests: process.argv.includes('--tests') });
