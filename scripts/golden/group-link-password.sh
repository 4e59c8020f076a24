# A server that wants a password before it keeps a group link.

umask 077
echo right >password
echo wrong >other
mkfifo ready
smp-serve --listen 127.0.0.1:0 --password-file password --quiet >ready &
read -r line <ready
server=$(jq -r .address <<<"$line")

create() { grp-keygen | grp-link-create --server "$server" --name Walks "$@" 2>stderr | jq -c '.status, .queue.server_password'; }

echo "# without it and with another"
create || sed 's/127.0.0.1:[0-9]*/HOST/' stderr
create --password-file other || sed 's/127.0.0.1:[0-9]*/HOST/' stderr

echo "# with it, and without it in what others see"
create --password-file password
grp-keygen | grp-link-create --server "$server" --name Walks --password-file password --out group.json | jq -c '.queue | keys'

echo "# readers need none"
grp-link-verify group.json | jq -r .type
