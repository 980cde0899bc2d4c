#!/bin/sh
# Reports to the control API that a gateway was stopped and its last worker has ended, so that no drain waits for it any more.
# To be called by whatever stopped nginx, and only then: while a worker lives, it would be untrue.
#
# Once it has left, the file `left` is beside its sets: when it starts again it serves nothing from its disk until Redis, or
# the control API, knows of it (docs/adr/0017). With --join it asks the control API: as long as that file is there, it
# reports that the gateway serves, and then removes the file.
#
# usage: ebbgate-leave NGINX_CONF        the conf that `ebbgate render` wrote; the gateway's name is read from it
#        ebbgate-leave --join NGINX_CONF to be started beside nginx; ends when the gateway is known
#   EBBGATE_API                          the control API, like https://10.0.0.5:8090, or those of several controllers with commas, which
#                                        are asked in turn; without it nothing is reported
#   EBBGATE_API_CA                       of https: PEM file with the authority that signed its certificate; else whom the system trusts
#   EBBGATE_API_CERT, EBBGATE_API_KEY    of https: PEM files of a client certificate that a token is for, and its key
#   EBBGATE_TOKEN_FILE or EBBGATE_TOKEN  its token, or neither
#   EBBGATE_LEAVE_TIMEOUT                how many seconds to try at most; 10 unless given
#
# Exit: 0 reported, or nobody to report to · 1 not reported: it stays in the roster until somebody says `ebbgate gateway leave` · 2 usage
set -eu

say() {
  echo "ebbgate-leave: $*" >&2
}

verb=leave reason='stopped; its last worker is gone'
if [ "${1:-}" = --join ]; then
  verb=join reason='started, and may serve from its disk'
  shift
fi

# The name of the gateway, as `ebbgate render` wrote it.
id=$(sed -n 's/^ *gateway_id = "\([A-Za-z0-9._-]*\)",$/\1/p' "${1:-/etc/ebbgate/nginx.conf}") || exit 2
if [ -z "$id" ]; then
  say "${1:-/etc/ebbgate/nginx.conf} names no gateway; it must be written by: ebbgate render"
  exit 2
fi
state_dir=$(sed -n 's/^ *state_dir = "\(\/.*\)",$/\1/p' "${1:-/etc/ebbgate/nginx.conf}") || exit 2
mark=$state_dir/left
if [ "$verb" = join ]; then
  [ -n "${EBBGATE_API:-}" ] || exit 0
  # Redis is tried first, by the gateway itself: then the file is gone.
  sleep "${EBBGATE_JOIN_AFTER:-2}"
  [ -e "$mark" ] || exit 0
fi
if [ -z "${EBBGATE_API:-}" ]; then
  say "EBBGATE_API is not set, so nothing is reported. Do it by hand: ebbgate gateway leave $id"
  exit 0
fi
token=${EBBGATE_TOKEN:-}
if [ -n "${EBBGATE_TOKEN_FILE:-}" ]; then
  token=$(cat -- "$EBBGATE_TOKEN_FILE") || token=
fi

# Asks the controller at $1: its answer, and the status in a line of its own.
ask() {
  url=${1%/}/v1/gateways/$id/$verb
  set --
  [ -z "${EBBGATE_API_CA:-}" ] || set -- "$@" --cacert "$EBBGATE_API_CA"
  [ -z "${EBBGATE_API_CERT:-}" ] || set -- "$@" --cert "$EBBGATE_API_CERT"
  [ -z "${EBBGATE_API_KEY:-}" ] || set -- "$@" --key "$EBBGATE_API_KEY"
  # The token goes in by stdin: arguments can be read by everybody on the machine.
  { [ -z "$token" ] || printf 'Authorization: Bearer %s' "$token" | sed 's/[\\"]/\\&/g; s/^/header = "/; s/$/"/'; } |
    curl --config - --silent --show-error --request POST \
      --header 'Content-Type: application/json' --header "X-Ebbgate-Actor: gateway-$id" \
      --data "{\"reason\":\"$reason\"}" \
      --connect-timeout 2 --max-time 5 \
      --write-out '\n%{http_code}' "$@" "$url"
}

# Keeps in $hint what to do about the failure $1 of curl at $2, if TLS was not spoken.
hint=
why() {
  case $1 in
    51 | 60) hint="the certificate of $2 is not believed: EBBGATE_API_CA must be the file with the authority that signed it, and it must name that host" ;;
    58 | 77) hint='a file in EBBGATE_API_CA, EBBGATE_API_CERT or EBBGATE_API_KEY cannot be used' ;;
    35) hint="$2 speaks no TLS, or takes no such client: look at EBBGATE_API and EBBGATE_API_CERT" ;;
  esac
}

# Seconds since this machine started: no clock that somebody sets.
uptime() {
  read -r seconds _ < /proc/uptime
  echo "${seconds%.*}"
}

timeout=${EBBGATE_LEAVE_TIMEOUT:-10}
end=$(($(uptime) + timeout))
status=000 answer=
while :; do
  for api in $(echo "$EBBGATE_API" | tr , ' '); do
    failed=0
    answer=$(ask "$api") || failed=$?
    why "$failed" "$api"
    status=${answer##*
}
    # No answer, or none now: the next one may have a better one.
    case $status in
      000 | 408 | 429 | 5??) ;;
      *) break 2 ;;
    esac
  done
  [ "$(uptime)" -lt "$end" ] || break
  sleep 1
done
if [ "$verb" = join ]; then
  case $status in
    200) rm -f -- "$mark"; say "the control API knows that gateway $id serves"; exit 0 ;;
  esac
  [ -e "$mark" ] || exit 0
  say "gateway $id serves nothing yet: neither Redis nor $EBBGATE_API knows of it (${status}${hint:+; $hint})"
  exec "$0" --join "$@"
fi
case $status in
  200)
    date -u > "$mark" || say "cannot write $mark: started without Redis, this gateway would serve unknown to drains"
    say "gateway $id has left"
    exit 0
    ;;
  404)
    # Or it is what a repeated request was answered. Another server's 404 is none.
    case $answer in
      *'"code":"not_found"'*) say "gateway $id was not in the roster"; exit 0 ;;
    esac
    ;;
esac
case $status in
  000) say "gateway $id could not leave: $EBBGATE_API gave no answer within $timeout s${hint:+; $hint}" ;;
  *) say "gateway $id could not leave (${status}): ${answer%
*}" ;;
esac
say "drains wait for it until somebody says: ebbgate gateway leave $id"
exit 1
