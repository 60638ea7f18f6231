#!/bin/sh
# Makes the secrets that docker-compose.yml mounts, in ./secrets (or in the folder named). Keeps what is there already.
# BACK UP secrets/kek: without it no stored credential and no platform-held restore key can be opened again.
set -eu
folder=${1:-secrets}
umask 077
mkdir -p "$folder"

random() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
# keep NAME: writes standard input to the secret unless it exists. The folder is closed; the files must be readable for the
# containers' own users, to whom compose mounts them one by one.
keep() {
  if [ -e "$folder/$1" ]; then cat >/dev/null; else cat >"$folder/$1" && chmod 444 "$folder/$1" && echo "made $folder/$1"; fi
}

head -c 32 /dev/urandom | base64 | tr -d '\n' | keep kek
random 24 | keep postgres_password
random 24 | keep queue_password
random 12 | keep admin_password
random 24 | keep enrollment_token
random 32 | keep garage_rpc_secret

printf 'postgresql://xvault:%s@postgres:5432/xvault' "$(cat "$folder/postgres_password")" | keep database_url
printf 'redis://queue:%s@redis:6379/0' "$(cat "$folder/queue_password")" | keep redis_url
# The queue's user sees the queue's keys alone and may not administer the server.
keep redis.conf <<END
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
user default off
user queue on >$(cat "$folder/queue_password") resetkeys ~xvault:* resetchannels &xvault:* +@all -@admin -@dangerous +info +client|setname +client|getname +client|id
END
