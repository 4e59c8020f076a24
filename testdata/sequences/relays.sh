# An owner, two relays and a server, with a record of everything that each of them does: a relay is added, then removed
# and told; another one is removed while it is off, and finds out by itself.

server() { smp-serve --listen 127.0.0.1:0 --quiet --trace server.jsonl >server.json & }
relay() { # NAME TRACE [FLAG...]
  local name=$1 trace=$2
  shift 2
  rm -f "$name.json"
  relay-serve --server "$server" --name "$name" --identity "$name.identity" --store "sqlite://$name.sqlite" \
    --control "$name.sock" --trace "$trace" --quiet "$@" >"$name.json" &
  until [ -s "$name.json" ]; do sleep 0.05; done
}
recorded() { until grep -qs "$2" "$1"; do sleep 0.05; done; }
owner() { local trace=$1; shift; "$@" --trace "$trace" --quiet; }

server
until [ -s server.json ]; do sleep 0.05; done
server=$(jq -r .address server.json)

relay Ray added-Ray.jsonl
ray_pid=$!
owner added-owner.jsonl grp-keygen --out keys.json >keys.public
owner added-owner.jsonl grp-link-create keys.json --server "$server" --name Walks --out walks.json >walks.public
ray=$(jq -r .address Ray.json)
owner added-owner.jsonl grp-relay-invite --state walks.json --relay "$ray" --timeout 60 >/dev/null
kill "$ray_pid"
wait "$ray_pid" || true

relay Ray removed-Ray.jsonl
owner removed-owner.jsonl grp-relay-remove --state walks.json --last "$ray" --timeout 60 >/dev/null
recorded removed-Ray.jsonl relay_link_delete

relay Rob untold-before.jsonl --check-every 1
rob_pid=$!
rob=$(jq -r .address Rob.json)
grp-relay-invite --state walks.json --relay "$rob" --timeout 60 --quiet >/dev/null
kill "$rob_pid"
wait "$rob_pid" || true
owner untold-owner.jsonl grp-relay-remove --state walks.json --last --unnotified "$rob" --timeout 60 >/dev/null
relay Rob untold-Rob.jsonl --check-every 1
recorded untold-Rob.jsonl relay_link_delete
