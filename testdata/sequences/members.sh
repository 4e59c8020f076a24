# A member joins through a relay, an owner posts, the member reads; then another relay takes the place of the first one, and
# the member finds it. Records begin where the story does: what was there before is not drawn.

server() { smp-serve --listen 127.0.0.1:0 --quiet --trace server.jsonl >server.json & }
relay() { # NAME TRACE
  rm -f "$1.json"
  relay-serve --server "$server" --name "$1" --identity "$1.identity" --store "sqlite://$1.sqlite" \
    --control "$1.sock" --trace "$2" --quiet >"$1.json" &
  until [ -s "$1.json" ]; do sleep 0.05; done
}
recorded() { until grep -qs "$2" "$1"; do sleep 0.05; done; }
traced() { local trace=$1; shift; "$@" --trace "$trace" --quiet --timeout 60 >/dev/null; }
invite() { # NAME TRACE: its record begins once it serves the group
  relay "$1" before.jsonl
  local pid=$!
  grp-relay-invite --state walks.json --relay "$(jq -r .address "$1.json")" --timeout 60 --quiet >/dev/null
  kill "$pid"
  wait "$pid" || true
  relay "$1" "$2"
}

server
until [ -s server.json ]; do sleep 0.05; done
server=$(jq -r .address server.json)
grp-keygen --quiet | grp-link-create --server "$server" --name Walks --out walks.json --quiet >/dev/null
link=$(jq -r .link walks.json)

invite Ray joined-Ray.jsonl
ray_pid=$!
traced joined-Mia.jsonl grp-join "$link" --state mia.json --server "$server" --name Mia --all
traced joined-Mia.jsonl grp-recv --state mia.json
recorded joined-Ray.jsonl 'x.grp.mem.new'
traced joined-owner.jsonl grp-send --state walks.json --sign 'No walk today'
recorded joined-Ray.jsonl 'forwarded x.msg.new'
traced joined-Mia.jsonl grp-recv --state mia.json --count 1
kill "$ray_pid"
wait "$ray_pid" || true

invite Rob restored-Rob.jsonl
rob_pid=$!
traced restored-owner.jsonl grp-relay-remove --state walks.json --unnotified "$(jq -r .address Ray.json)"
traced restored-Mia.jsonl grp-restore --state mia.json --all
recorded restored-Rob.jsonl 'x.grp.mem.new'
kill "$rob_pid"
wait "$rob_pid" || true
