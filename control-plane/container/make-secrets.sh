#!/bin/sh
# Makes the secrets that are not there yet, each in the directory of those who may read it, and the users of Redis from
# them. Run again it changes nothing; a secret that was taken away is made again, one that was put there is used.
#
#   DIR/controller/{token,redis-url}      the control API's token, which may do everything; Redis with the controller's password
#   DIR/gateway/redis-password            the password of Redis' user `gateway`
#   DIR/gateway/sticky-keys               the keys of the cookies of sticky sessions, one a line, the newest first
#   DIR/redis/{users.acl,health-password}
# and where sentinels know the master:
#   DIR/gateway/sentinel-password         by which gateways and controllers ask the sentinels; in redis-url, too
#   DIR/redis/replica-password            by which a replica follows the master
#   DIR/redis/sentinel-password           by which sentinels reach Redis and one another
#   DIR/redis/sentinels.acl               the users of the sentinels
# Gateways and instances have tokens of their own: make-tokens.sh.
#
# usage: make-secrets.sh DIR TEMPLATE REDIS [VERB]
#   TEMPLATE     users.acl; beside it lie users_sentinel.acl and sentinels.acl
#   REDIS        HOST:PORT, or redis+sentinel://HOST,HOST,…/NAME
#   make         what is said above; the default
#   put SECRET   takes this one from standard input, in place of the present one
#   new SECRET   makes another one in place of the present one
#   retire       Redis takes former passwords no more
# SECRET: token, or a password by its name above, or controller/redis-password. After `put` and `new` Redis takes the former
# password beside the new one until `retire`, so that everybody may change in their own time.
#
# Exit: 0 · 1 a directory cannot be written, or the secret does not pass · 2 usage
set -eu
umask 022 # each directory is mounted only where it is needed, by users that differ

say() {
  echo "make-secrets: $*" >&2
}
usage() {
  say "$*; see the head of $0"
  exit 2
}
refuse() {
  say "$*"
  exit 1
}

[ $# -ge 3 ] || usage 'DIR, TEMPLATE and REDIS must be given'
dir=$1 template=$2 redis=$3 verb=${4:-make} name=${5:-}
passwords='controller/redis-password gateway/redis-password redis/health-password'
case $redis in
  redis+sentinel://*@*) usage 'REDIS must have no user and no password: they are made' ;;
  redis+sentinel://*/*)
    sentinels=${redis#redis+sentinel://}
    passwords="$passwords gateway/sentinel-password redis/replica-password redis/sentinel-password"
    ;;
  *://*) usage "REDIS must be HOST:PORT or redis+sentinel://HOST,HOST,…/NAME (got \"$redis\")" ;;
  *) sentinels='' ;;
esac

# Where the secret NAME lies.
file_of() {
  for one in $passwords; do
    [ "$1" != "$one" ] || { echo "$dir/$1"; return; }
  done
  [ "$1" = token ] || usage "SECRET must be token or one of $passwords (got \"$1\")"
  echo "$dir/controller/token"
}

# put FILE TEXT: all of it or nothing
put() {
  printf '%s\n' "$2" > "$1.new"
  mv "$1.new" "$1"
}

random() {
  head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

# keep FILE: its content, made up first if there is none
keep() {
  [ -s "$1" ] || put "$1" "$(random)"
  cat "$1"
}

sha256() {
  printf '%s' "$1" | sha256sum | cut -d ' ' -f 1
}

# hashes NAME: of its password, and of the former one while that is taken
hashes() {
  sha256 "$(cat "$dir/$1")"
  [ ! -s "$dir/$1.former" ] || sha256 "$(cat "$dir/$1.former")"
}

# check NAME TEXT: it must not change the meaning of a line, a header or a URL
check() {
  case $1 in
    controller/* | gateway/sentinel-password) allowed='A-Za-z0-9._~-' ;; # a part of the URL
    *) allowed='!-~' ;;
  esac
  [ -n "$2" ] || refuse "$1 is empty"
  rest=$(printf '%s' "$2" | LC_ALL=C tr -d "$allowed" | od -An -c)
  [ -z "$rest" ] || refuse "$1 may contain characters of $allowed only"
}

# replace NAME TEXT
replace() {
  check "$1" "$2"
  file=$(file_of "$1")
  if [ "$1" != token ] && [ -s "$file" ] && [ "$(cat "$file")" != "$2" ]; then put "$file.former" "$(cat "$file")"; fi
  put "$file" "$2"
  say "$1 is another one now"
}

# Docker gives an empty volume to the owner of the directory it is mounted on, and leaves one that is not empty as it is.
closed=''
for part in controller gateway redis; do
  mkdir -p "$dir/$part" 2> /dev/null || :
  [ -w "$dir/$part" ] || closed="$closed $dir/$part"
done
[ -z "$closed" ] ||
  refuse "uid $(id -u) cannot write$closed; with Compose: docker compose run --rm give-volumes, else as root: chown -R $(id -u)$closed"

case $verb in
  make) ;;
  put)
    file_of "$name" > /dev/null
    replace "$name" "$(cat)"
    ;;
  new)
    file_of "$name" > /dev/null
    replace "$name" "$(random)"
    ;;
  retire) rm -f "$dir"/*/*.former ;;
  *) usage "VERB must be make, put, new or retire (got \"$verb\")" ;;
esac

token=$(keep "$dir/controller/token")
rm -f "$dir/gateway/token" # of before there was make-tokens.sh
for name in $passwords; do keep "$dir/$name" > /dev/null; done
keep "$dir/gateway/sticky-keys" > /dev/null
# Those that were put there by hand have not been looked at yet.
check token "$token"
for name in $passwords; do
  check "$name" "$(cat "$dir/$name")"
done
controller=$(cat "$dir/controller/redis-password")
if [ -z "$sentinels" ]; then
  put "$dir/controller/redis-url" "redis://controller:$controller@$redis/0"
else
  asking="sentinel_user=ebbgate&sentinel_password=$(cat "$dir/gateway/sentinel-password")"
  put "$dir/controller/redis-url" "redis+sentinel://controller:$controller@$sentinels?$asking"
fi

# users NAME USER: every `#@USER@` becomes the hashes of its passwords
users() {
  sed "s/#@$2@/$(hashes "$1" | sed 's/^/#/' | paste -sd ' ' -)/"
}
beside=$(dirname "$template")
{
  cat "$template"
  [ -z "$sentinels" ] || cat "$beside/users_sentinel.acl"
} | sed -e '/^#/d' |
  users controller/redis-password controller |
  users gateway/redis-password gateway |
  users redis/health-password health |
  if [ -z "$sentinels" ]; then cat; else
    users redis/replica-password replica | users redis/sentinel-password sentinel
  fi > "$dir/redis/users.acl.new"
mv "$dir/redis/users.acl.new" "$dir/redis/users.acl"
[ -n "$sentinels" ] || exit 0
sed -e '/^#/d' "$beside/sentinels.acl" |
  users gateway/sentinel-password ebbgate |
  users redis/sentinel-password sentinel |
  users redis/health-password health > "$dir/redis/sentinels.acl.new"
mv "$dir/redis/sentinels.acl.new" "$dir/redis/sentinels.acl"
