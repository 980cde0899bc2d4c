#!/bin/sh
# Renews the gateways of docker-compose.yml one after the other: its conf, its image, its secrets. The next one is touched
# only when this one is healthy, and the controller hears it and says that it follows everything.
#
# usage: nginx/container/roll.sh [GATEWAY…]    in the directory of docker-compose.yml; all services `gateway-N` unless named
#   COMPOSE                 docker compose unless given; docker-compose is the other
#   EBBGATE_ROLL_TIMEOUT    how many seconds a gateway may take to be back; 120 unless given
#   EBBGATE_ROLL_PAUSE      seconds between two, for whatever is before them to see that one is back; 10 unless given
#
# Before anything is stopped, every gateway must be heard: one that is away already would be missed twice.
# Exit: 0 all are new · 1 it stopped at one: those behind it are as they were · 2 usage
set -eu

compose=${COMPOSE:-docker compose}
timeout=${EBBGATE_ROLL_TIMEOUT:-120}
pause=${EBBGATE_ROLL_PAUSE:-10}

say() {
  echo "roll: $*" >&2
}
stop() {
  say "$*"
  exit 1
}
usage() {
  say "$*; usage: $0 [GATEWAY…], in the directory of docker-compose.yml"
  exit 2
}
# Compose 2 counts what a service depends on as a part of its text: one that was recreated with --no-deps differs from what
# the next plain `up` wants, which then recreates all of them at once. Compose 1 does not, and would recreate the others.
case $($compose version --short) in
  1.*) alone='--no-deps' ;;
  *) alone='' ;;
esac
# Standard input is nobody's: `exec` and `run` would read this script's own.
compose() {
  # shellcheck disable=SC2086 # two words
  $compose "$@" < /dev/null
}
ebbgate() {
  compose exec -T controller-1 ebbgate "$@"
}

services=$(compose config --services) || usage "$compose finds no docker-compose.yml"
known=$(echo "$services" | grep '^gateway-[0-9][0-9]*$' | sort -V)
[ -n "$known" ] || usage 'no service is named gateway-N'
[ $# -gt 0 ] || set -- $known
for gateway in "$@"; do
  echo "$known" | grep -qxF -e "$gateway" || usage "there is no service $gateway"
done

for gateway in $known; do
  ebbgate wait gateway "$gateway" --timeout 30s ||
    stop "$gateway is not heard; mend it first (docker compose ps, docker compose logs $gateway). Nothing was changed"
done

healthy() {
  id=$(compose ps -q "$1")
  [ -n "$id" ] && [ "$(docker inspect -f '{{.State.Health.Status}}' "$id")" = healthy ]
}

rest=$#
for gateway in "$@"; do
  rest=$((rest - 1))
  boot=$(ebbgate get gateways "$gateway" -o json | sed -n 's/^ *"boot": "\(.*\)",*$/\1/p')
  [ -n "$boot" ] || stop "$gateway is not heard any more. It was not changed"
  if echo "$services" | grep -qxF -e "$gateway-conf"; then
    compose run --rm --no-deps -T "$gateway-conf" || stop "the conf of $gateway did not pass. It serves on with the one before"
  fi
  say "$gateway is recreated; its open requests end first"
  # shellcheck disable=SC2086 # none or one
  compose up -d $alone --force-recreate "$gateway" || stop "$gateway could not be recreated"
  ebbgate wait gateway "$gateway" --not-boot "$boot" --timeout "${timeout}s" ||
    stop "$gateway is not back after $timeout s: docker compose logs $gateway"
  left=$timeout
  until healthy "$gateway"; do
    [ "$left" -gt 0 ] || stop "$gateway is heard, but not healthy: docker compose ps, docker compose logs $gateway"
    left=$((left - 1))
    sleep 1
  done
  say "$gateway is back"
  [ "$rest" -eq 0 ] || sleep "$pause"
done
