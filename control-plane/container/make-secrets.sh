#!/bin/sh
# Makes the secrets that are not there yet, each in the directory of those who may read it, and the users of Redis from
# them. Run again it changes nothing; a secret that was taken away is made anew, one that was put there is used.
#
#   DIR/controller/{token,redis-url}            the control API's token; Redis with the controller's password
#   DIR/gateway/{token,redis-password}          the token, to say that it has left; the password of Redis' user `gateway`
#   DIR/instance/token                          the token, to hear that it is drained
#   DIR/redis/{users.acl,health-password}
#
# usage: make-secrets.sh DIR TEMPLATE REDIS_HOST:PORT
set -eu
umask 022 # each directory is mounted only where it is needed, by users that differ

dir=$1 template=$2 redis=$3

# keep FILE: its content, made up first if there is none
keep() {
  if [ ! -s "$1" ]; then
    head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > "$1.new"
    mv "$1.new" "$1"
  fi
  cat "$1"
}

# put FILE TEXT: all of it or nothing
put() {
  printf '%s\n' "$2" > "$1.new"
  mv "$1.new" "$1"
}

sha256() {
  printf '%s' "$1" | sha256sum | cut -d ' ' -f 1
}

for part in controller gateway instance redis; do mkdir -p "$dir/$part"; done

token=$(keep "$dir/controller/token")
put "$dir/gateway/token" "$token"
put "$dir/instance/token" "$token"

controller=$(keep "$dir/controller/redis-password")
gateway=$(keep "$dir/gateway/redis-password")
health=$(keep "$dir/redis/health-password")
# A password of somebody else's making must not change the meaning of the URL.
case $controller in
  *[!A-Za-z0-9._~-]*) echo "make-secrets: redis-password of the controller may hold A-Z a-z 0-9 . _ ~ - only" >&2; exit 1 ;;
esac
put "$dir/controller/redis-url" "redis://controller:$controller@$redis/0"

sed -e '/^#/d' \
  -e "s/@controller@/$(sha256 "$controller")/" \
  -e "s/@gateway@/$(sha256 "$gateway")/" \
  -e "s/@health@/$(sha256 "$health")/" \
  "$template" > "$dir/redis/users.acl.new"
mv "$dir/redis/users.acl.new" "$dir/redis/users.acl"
