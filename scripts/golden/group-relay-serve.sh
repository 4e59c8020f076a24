# An owner and two relays: invite, check, publish, remove, leave, refuse, allow. Nobody is played here.

mkfifo ready
smp-serve --listen 127.0.0.1:0 --quiet >ready &
read -r line <ready
server=$(jq -r .address <<<"$line")

# Starts the relay $1 and sets a variable of its name to its address.
relay() {
  mkdir -p "$1"
  mkfifo "$1.ready"
  (cd "$1" && exec relay-serve --server "$server" --name "$1" --quiet) >"$1.ready" &
  read -r line <"$1.ready"
  declare -g "$1=$(jq -r .address <<<"$line")"
}
relay Ray
relay Rob

relays() { jq -c '[.relay_records[] | [.profile.displayName, .status, .stage, .reason_detail // .reason]]' group.json; }
listed() { grp-link-verify "$(jq -r .link group.json)" | jq -c '[.relays[] | [.profile.displayName, .bound_by]] | sort'; }
statuses() { grep -a "relay_status: owner -> $1" log | sed 's/.*-> //' || true; }

grp-keygen | grp-link-create --server "$server" --name Walks --out group.json >/dev/null

echo "# a relay is tested, invited, checked and published"
grp-relay-invite --state group.json --relay "$Ray" --test --verbose 2>log >/dev/null
statuses Ray
relays
listed

echo "# a second one is told nothing about the first, and members would be told of it"
grp-link-create --state group.json --update --member-count 3 | jq -c '[.member_count, (.relay_records | length)]'
grp-relay-invite --state group.json --relay "$Rob" --verbose 2>log >/dev/null
statuses Rob
listed
relay-log --control Ray/relay.sock | jq -c 'select(.event == "said") | .what'
jq -c '[.relays[].link] == [.relay_records[].relay_link]' group.json

echo "# another profile: the link says it at once, relays hear it in the next run that talks to them"
grp-link-create --state group.json --update --description 'On Sundays' | jq -c '[.profile.description, [.relay_records[].to_say[].event]]'
grp-relay-invite --state group.json | jq -c '[.relay_records[] | has("to_say")]'
for name in Ray Rob; do relay-log --control $name/relay.sock | jq -c 'select(.event == "said" and .what == "x.grp.info") | .what'; done

echo "# their operators see the same"
relay-status --control Ray/relay.sock | jq -c '.services[] | [.service, .name, .status, .confirmed, .accepting]'
relay-status --control Rob/relay.sock "$(jq -r .link group.json)" --pretty | sed -E 's/[0-9]{4}-[0-9-]+T[0-9:]+Z/TIME/; s/  [A-Za-z0-9_-]{43}/  ID/; s/ +/ /g'
relay-status --control Rob/relay.sock 7 | jq -c .services

echo "# inviting them again changes nothing"
before=$(jq .link_data.version group.json)
grp-relay-invite --state group.json --relay "$Ray" --relay "$Rob" >/dev/null
[ "$(jq .link_data.version group.json)" = "$before" ] && echo same

echo "# one is removed: it hears it, and so does the other"
grp-relay-remove --state group.json "$Rob" >/dev/null
relays
listed
until relay-log --control Rob/relay.sock | grep -q '"status":"inactive"'; do sleep 0.1; done
for name in Ray Rob; do relay-log --control $name/relay.sock | jq -c 'select(.event == "said" and .what == "x.grp.mem.del") | .what'; done

echo "# the last one goes only if that is meant"
grp-relay-remove --state group.json "$Ray" 2>stderr || echo "exit $?"
cat stderr

echo "# it leaves by itself: the owner finds out, and takes it out of the link"
relay-leave --control Ray/relay.sock "$(jq -r .link group.json)" | jq -c .type
while grp-relay-invite --state group.json 2>stderr >/dev/null; do sleep 0.1; done
cat stderr
relays
listed

echo "# it does not come back, until its operator allows it"
grp-relay-invite --state group.json --relay "$Ray" 2>stderr >/dev/null || echo "exit $?"
cat stderr
relay-allow --control Ray/relay.sock "$(jq -r .link group.json)" | jq -c .type
grp-relay-invite --state group.json --relay "$Ray" --verbose 2>log >/dev/null
statuses Ray
relays
listed
