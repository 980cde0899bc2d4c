// Makes the machine ready: the apt packages Ebbgate runs on. Plain Node, no dependency, because it runs before
// anything is installed. Promise: it never starts, stops, reloads or enables a service of this machine.
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { choosePackages, isDebianLike, missingNeeds, onPath } from './packages.mjs';

/** How to become root: [] as root, sudo without a password, sudo that may ask on this terminal; null = no way. */
function rootCommand() {
  if (process.getuid?.() === 0) return [];
  if (!onPath('sudo')) return null;
  if (spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n'];
  return process.stdin.isTTY ? ['sudo'] : null;
}

// Runs as root before packages are chosen: what there is differs between releases.
const UPDATE = `
wait_for_lock='-o DPkg::Lock::Timeout=300'
tries=1
until apt-get $wait_for_lock -q update; do
  [ "$tries" -ge 3 ] && { echo 'apt-get update failed; trying with the package lists there are'; break; }
  tries=$((tries + 1))
  sleep 3
done
`;

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

/** `lines` say what is missing; `packages` are what to install by hand, if that is known. */
function giveUp(lines, why, packages = []) {
  const install = `sudo apt-get update && sudo apt-get install --no-install-recommends ${packages.join(' ')}`;
  console.error(
    [
      'Ebbgate needs what is not installed:',
      ...lines.map((line) => `  ${line}`),
      why,
      ...(packages.length === 0 ? [] : ['On Debian or Ubuntu, install it and come back:', `  ${install}`]),
      'Or run it in containers:',
      '  docker compose up',
    ].join('\n'),
  );
  process.exit(1);
}

const described = (needs) => needs.map(({ gives, packages }) => `${gives} (${packages.join(' or ')})`);

/** Installs what is missing, or says how to and exits 1. Costs a few milliseconds when nothing is missing. */
export async function readyMachine(options) {
  if (Number(process.versions.node.split('.')[0]) < 20) {
    console.error(`Ebbgate needs Node 20 or newer; this is ${process.version}.`);
    process.exit(1);
  }
  const missing = missingNeeds(options);
  if (missing.length === 0) return;
  const firsts = [...new Set(missing.map(({ packages }) => packages[0]))];
  if (!isDebianLike()) giveUp(described(missing), 'This system is neither Debian nor Ubuntu.', firsts);
  const root = rootCommand();
  if (root === null)
    giveUp(
      described(missing),
      'It can only be installed by root or with sudo.',
      choosePackages(missing).packages,
    );
  await runToEnd([...root, 'sh', '-c', UPDATE]);
  const { packages, unmet } = choosePackages(missing);
  if (unmet.length > 0) {
    const lines = unmet.map(({ gives, reasons }) => `${gives}: ${reasons.join('; ')}`);
    giveUp(lines, 'No package of this system gives it without taking something away.');
  }
  console.log(`Installing ${packages.join(' ')} (no service is started or changed)`);
  const code = await runToEnd([...root, 'sh', '-c', INSTALL, 'sh', ...packages]);
  const still = missingNeeds(options);
  if (still.length > 0)
    giveUp(described(still), `apt-get ended with exit code ${String(code)}; its output is above.`, packages);
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
