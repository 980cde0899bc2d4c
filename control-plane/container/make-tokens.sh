#!/bin/sh
# Makes the tokens of those who must not have the admin's, each in the directory of those who may read it. Run again it
# changes nothing while they work and are for what is asked for. It speaks to the control API, as EBBGATE_API and
# EBBGATE_TOKEN_FILE say, with the token of an admin.
#
#   DIR/ROLE/token    the secret
#   DIR/ROLE/name     the token's name, to revoke it by
#
# usage: make-tokens.sh DIR ROLE=PATTERN… [VERB]
#   make         what is said above; the default
#   new          makes another one of each, puts it in place, and revokes the one before
#   ROLE         gateway (PATTERN is for gateways), or any other that `ebbgate token create` knows (PATTERN is for services)
#   EBBGATE_TOKENS_WAIT    how many seconds to wait for a controller that leads; 300 unless given
#
# While no controller answers: what is there is kept, after 20 s at most, so that nobody waits for it who could start.
# Exit: 0 · 1 a directory cannot be written, or a token is missing and cannot be made · 2 usage
set -euf
umask 022 # each directory is mounted only where it is needed, by users that differ

say() {
  echo "make-tokens: $*" >&2
}
usage() {
  say "$*; see the head of $0"
  exit 2
}
refuse() {
  say "$*"
  exit 1
}

[ $# -ge 2 ] || usage 'DIR and at least one ROLE=PATTERN must be given'
dir=$1
shift
wanted='' verb=make
for word in "$@"; do
  case $word in
    *[!A-Za-z0-9._*=-]* | =* | *=) usage "\"$word\" must be ROLE=PATTERN" ;;
    *=*)
      case ${word%%=*} in *[!a-z]*) usage "\"$word\" must be ROLE=PATTERN" ;; esac
      wanted="$wanted $word"
      ;;
    make | new) verb=$word ;;
    *) usage "VERB must be make or new (got \"$word\")" ;;
  esac
done
[ -n "$wanted" ] || usage 'at least one ROLE=PATTERN must be given'

closed='' missing=''
for one in $wanted; do
  part=$dir/${one%%=*}
  mkdir -p "$part" 2> /dev/null || :
  [ -w "$part" ] || closed="$closed $part"
  [ -s "$part/token" ] || missing=yes
done
[ -z "$closed" ] ||
  refuse "uid $(id -u) cannot write$closed; with Compose: docker compose run --rm give-volumes, else as root: chown -R $(id -u)$closed"

# member NAME: of the JSON on standard input
member() {
  sed -n "s/^ *\"$1\": \"\(.*\)\",*\$/\1/p"
}

# Exit 7 is: nobody answers, or nobody who could do it now.
left=${EBBGATE_TOKENS_WAIT:-300}
[ -n "$missing" ] || [ "$verb" = new ] || [ "$left" -le 20 ] || left=20
while :; do
  code=0
  answer=$(ebbgate get controllers 2>&1) || code=$?
  [ "$code" -ne 0 ] || break
  [ "$code" -eq 7 ] || refuse "$answer"
  if [ "$left" -le 0 ]; then
    [ -z "$missing" ] && [ "$verb" = make ] || refuse "$answer"
    say "no controller answers; the tokens that are there are kept as they are"
    exit 0
  fi
  left=$((left - 1))
  sleep 1
done

# works ROLE PATTERN: whether the token that is there is taken, and is for that. A controller that has just started knows
# no token for a moment, so it is asked again.
works() {
  [ -s "$dir/$1/token" ] || return 1
  for _ in 1 2 3; do
    if who=$(EBBGATE_TOKEN_FILE="$dir/$1/token" ebbgate whoami -o json 2> /dev/null); then
      [ "$(echo "$who" | member role) $(echo "$who" | member scope)" = "$1 $2" ]
      return
    fi
    sleep 1
  done
  return 1
}

# replace ROLE PATTERN
replace() {
  before=$(cat "$dir/$1/name" 2> /dev/null) || before=''
  name=container-$1-$(head -c 4 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
  for_what=--services
  [ "$1" != gateway ] || for_what=--gateways
  ebbgate token create "$name" --role "$1" "$for_what" "$2" --reason 'made by make-tokens.sh' > "$dir/$1/token.new" ||
    refuse "the token of role $1 could not be made"
  printf '%s\n' "$name" > "$dir/$1/name"
  mv "$dir/$1/token.new" "$dir/$1/token"
  [ -z "$before" ] || ebbgate token revoke "$before" --reason "$name is in its place" > /dev/null ||
    say "$before could not be revoked; ebbgate token list shows whether it is still there"
}

for one in $wanted; do
  if [ "$verb" = new ] || ! works "${one%%=*}" "${one#*=}"; then replace "${one%%=*}" "${one#*=}"; fi
done
