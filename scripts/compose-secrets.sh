#!/bin/sh
# Makes the secrets that docker-compose.yml mounts, in secrets/, once. What is there already is
# left as it is, so a second run is harmless.
set -eu
cd "$(dirname "$0")/.."

# The folder keeps other people of this host out. The files in it are readable, because compose
# mounts each with the rights that it has here, into a container that runs as another user.
mkdir -p secrets
chmod 700 secrets

random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# secret NAME VALUE: without a line end, which would become a part of the value.
secret() {
    [ ! -e "secrets/$1" ] || return 0
    printf '%s' "$2" >"secrets/$1.new"
    chmod 444 "secrets/$1.new"
    mv "secrets/$1.new" "secrets/$1"
    printf 'Made secrets/%s.\n' "$1"
}

secret secret_key "$(random)$(random)"
secret postgres_password "$(random)"
secret redis_password "$(random)"
secret database_url "postgres://sallyport:$(cat secrets/postgres_password)@postgres:5432/sallyport"
secret broker_url "redis://:$(cat secrets/redis_password)@redis:6379/0"
# For notices (docs/notices.md): empty until you write into them.
secret mail_url ""
secret channel_addresses ""

[ -e secrets/aws_credentials ] || printf '%s\n' \
    "Put the access key of the portal's own AWS identity into secrets/aws_credentials:" \
    "  [default]" "  aws_access_key_id = ..." "  aws_secret_access_key = ..." \
    "(chmod 444; on an instance or task role see the note in docker-compose.yml)."
