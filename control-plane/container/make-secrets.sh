#!/bin/sh
# Makes the secrets that are not there yet, each in the directory of those who may read it, and the users of Redis from
# them. Run again it changes nothing; a secret that was taken away is made again, one that was put there is used.
#
#   DIR/controller/{token,redis-url}            the control API's token; Redis with the controller's password
#   DIR/gateway/{token,redis-password}          the token, to say that it has left; the password of Redis' user `gateway`
#   DIR/gateway/sticky-keys                     the keys of the cookies of sticky sessions, one a line, the newest first
#   DIR/instance/token                          the token, to hear that it is drained
#   DIR/redis/{users.acl,health-password}
#
# usage: make-secrets.sh DIR TEMPLATE REDIS_HOST:PORT [VERB]
#   make         what is said above; the default
#   put SECRET   takes this one from standard input, in place of the present one
#   new SECRET   makes another one in place of the present one
#   retire       Redis takes former passwords no more
# SECRET: token, controller/redis-password, gateway/redis-password, redis/health-password. After `put` and `new` Redis
# takes the former password beside the new one until `retire`, so that everybody may change in their own time.
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

[ $# -ge 3 ] || usage 'DIR, TEMPLATE and REDIS_HOST:PORT must be given'
dir=$1 template=$2 redis=$3 verb=${4:-make} name=${5:-}

# Where the secret NAME lies. The token's other copies follow this one.
file_of() {
  case $1 in
    token) echo "$dir/controller/token" ;;
    controller/redis-password | gateway/redis-password | redis/health-password) echo "$dir/$1" ;;
    *) usage "SECRET must be token, controller/redis-password, gateway/redis-password or redis/health-password (got \"$1\")" ;;
  esac
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
    controller/*) allowed='A-Za-z0-9._~-' ;;
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
for part in controller gateway instance redis; do
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
put "$dir/gateway/token" "$token"
put "$dir/instance/token" "$token"
controller=$(keep "$dir/controller/redis-password")
keep "$dir/gateway/redis-password" > /dev/null
keep "$dir/redis/health-password" > /dev/null
keep "$dir/gateway/sticky-keys" > /dev/null
# Those that were put there by hand have not been looked at yet.
check token "$token"
for name in controller/redis-password gateway/redis-password redis/health-password; do
  check "$name" "$(cat "$dir/$name")"
done
put "$dir/controller/redis-url" "redis://controller:$controller@$redis/0"

# users NAME USER: every `#@USER@` becomes the hashes of its passwords
users() {
  sed "s/#@$2@/$(hashes "$1" | sed 's/^/#/' | paste -sd ' ' -)/"
}
sed -e '/^#/d' "$template" |
  users controller/redis-password controller |
  users gateway/redis-password gateway |
  users redis/health-password health > "$dir/redis/users.acl.new"
mv "$dir/redis/users.acl.new" "$dir/redis/users.acl"
