#!/bin/sh
# The gateway's container: runs nginx, stops it gracefully, and says so when its last worker is gone.
#
#   QUIT, TERM, INT   nginx stops listening and lets open requests end; then the gateway leaves the roster
#   TERM, INT again   open requests are cut; then the gateway leaves
#   HUP               nginx reads its conf again
#
#   EBBGATE_CONF                   the conf that `ebbgate render` wrote; /etc/ebbgate/nginx.conf unless given
#   EBBGATE_REDIS_PASSWORD(_FILE)  the password of Redis, or the file that has it
#   EBBGATE_REDIS_SENTINEL_PASSWORD(_FILE)  the same for its sentinels
#   EBBGATE_API and its token      see ebbgate-leave
#
# Exit: 0 stopped as asked, and reported · 2 cannot start · 75 stopped as asked, but not reported · else how nginx
# ended: of itself, so nothing is reported, because it is expected back.
set -eu

conf=${EBBGATE_CONF:-/etc/ebbgate/nginx.conf}

say() {
  echo "ebbgate-gateway: $*" >&2
}
cannot_start() {
  say "$*"
  exit 2
}

nginx='' asked='' repeater=''

signal() {
  [ -z "$nginx" ] || kill "-$1" "$nginx" 2> /dev/null || :
}
# nginx drops a signal that comes while it reads its conf, so it is sent again until nginx has ended.
repeat() {
  while kill -QUIT "$nginx" 2> /dev/null; do sleep 1; done
}
quit() {
  asked=yes
  if [ -n "$nginx" ] && [ -z "$repeater" ]; then
    repeat &
    repeater=$!
  fi
}
# The second one is in a hurry.
terminate() {
  if [ -z "$asked" ]; then quit; else signal TERM; fi
}
trap quit QUIT
trap terminate TERM INT
trap 'signal HUP' HUP

[ -r "$conf" ] || cannot_start "cannot read $conf; write it by: ebbgate render --out FILE"
run_dir=$(sed -n 's/^pid \(\/.*\)\/nginx\.pid;$/\1/p' "$conf")
[ -n "$run_dir" ] || cannot_start "$conf has no pid file; it must be written by: ebbgate render"
if [ -n "${EBBGATE_REDIS_PASSWORD_FILE:-}" ]; then
  EBBGATE_REDIS_PASSWORD=$(cat -- "$EBBGATE_REDIS_PASSWORD_FILE") ||
    cannot_start "cannot read EBBGATE_REDIS_PASSWORD_FILE"
  export EBBGATE_REDIS_PASSWORD
fi
if [ -n "${EBBGATE_REDIS_SENTINEL_PASSWORD_FILE:-}" ]; then
  EBBGATE_REDIS_SENTINEL_PASSWORD=$(cat -- "$EBBGATE_REDIS_SENTINEL_PASSWORD_FILE") ||
    cannot_start "cannot read EBBGATE_REDIS_SENTINEL_PASSWORD_FILE"
  export EBBGATE_REDIS_SENTINEL_PASSWORD
fi
program=$(command -v nginx || command -v openresty) || cannot_start "neither nginx nor openresty is on the PATH"
# A conf for another platform fails at every start, in nginx' words, which do not say what to do.
fits() {
  module=$(sed -n 's/^load_module \(.*ngx_http_lua_module\.so\);$/\1/p' "$conf")
  if [ -n "$module" ]; then
    [ -e "$module" ]
  elif grep -q '^include /usr/share/ebbgate/lua_module\.conf;$' "$conf"; then
    [ -e /usr/share/ebbgate/lua_module.conf ]
  else
    "$program" -V 2>&1 | grep -q -e openresty -e ngx_lua
  fi
}
fits || cannot_start "$conf is for an nginx of another platform; render it again with --lua-module image"
# Also what another user has left there: nginx would fail at the first request that needs it.
mkdir -p "$run_dir/state" 2> /dev/null || :
for place in "$run_dir" "$run_dir/state" "$run_dir"/*_temp; do
  [ ! -d "$place" ] || [ -w "$place" ] ||
    cannot_start "uid $(id -u) cannot write $place; with Compose: docker compose run --rm give-volumes, else as root: chown -R $(id -u) $run_dir"
done
[ -d "$run_dir/state" ] || cannot_start "there is no $run_dir/state and it cannot be made"

"$program" -p "$run_dir" -e stderr -c "$conf" &
nginx=$!
[ -z "$asked" ] || quit # asked before there was anything to stop
ebbgate-leave --join "$conf" &
joiner=$!

# `wait` ends with every signal; nginx has ended when it cannot be signalled.
while :; do
  status=0
  wait "$nginx" || status=$?
  kill -0 "$nginx" 2> /dev/null || break
done
# A signal may have ended the wait in which nginx ended too; how it ended is then still to be asked for.
again=0
wait "$nginx" || again=$?
[ "$again" -eq 127 ] || status=$again
[ -z "$repeater" ] || kill -KILL "$repeater" 2> /dev/null || :
kill -KILL "$joiner" 2> /dev/null || :

if [ -z "$asked" ]; then
  say "nginx ended of itself ($status)"
  exit "$status"
fi

# Workers outlive a master that was killed; they stay in the process group of this shell.
read -r _ _ _ _ group _ < "/proc/$$/stat"
working() {
  for process in /proc/[0-9]*; do
    read -r _ name state _ its_group _ < "$process/stat" || continue
    [ "$name" != '(nginx)' ] || [ "$its_group" != "$group" ] || [ "$state" = Z ] || return 0
  done 2> /dev/null
  return 1
}
while working; do sleep 0.2; done
reported=0
ebbgate-leave "$conf" || reported=75
[ "$status" -ne 0 ] || exit "$reported"
say "nginx was asked to stop and ended with $status"
exit "$status"
