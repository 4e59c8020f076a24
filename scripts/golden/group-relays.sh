# An owner invites relays that say no, say nothing, or lie. The relay is played by hand, with programs for connections.

mkfifo ready
smp-serve --listen 127.0.0.1:0 --quiet >ready &
read -r line <ready
server=$(jq -r .address <<<"$line")

hide() { sed -E 's/127\.0\.0\.1(:[0-9]+)?/HOST/g'; }
relays() { jq -c '.relay_records[] | [.status, .reason, .reason_detail]' group.json; }
# Answers the request that waits, as a relay does: $1 is the new connection, $2 what the relay says.
answer() {
  conn-accept --state relay.json --into "$1" --server "$server" --info "$2" | jq -r .status
}
says() { jq -cn --arg event "$1" --argjson params "$2" '{v: "9-19", event: $event, params: $params}'; }

profile='{"relayProfile":{"displayName":"Ray","fullName":""}}'
address=$(conn-invite --state relay.json --server "$server" --address --data "$profile" | jq -r .link)
relay=${address/\/a#/\/r#}
grp-keygen | grp-link-create --server "$server" --name Walks --out group.json | jq -c '[.type, .status]'

echo "# asked, and that is all for now"
grp-relay-invite --state group.json --relay "$relay" --no-wait | jq -c '[.relay_records[].status, (.relays | length), has("connections")]'
conn-accept --state relay.json --list | jq -r .text | jq -c '[.event, (.params.groupRelayInvitation | keys_unsorted)]'
grp-status group.json | jq -c '.relays[] | [.display_name, .status, .connected, .unfinished]'

echo "# asked once, however often the command is given"
grp-relay-invite --state group.json --relay "$relay" --no-wait | jq -c '[.relay_records[].status]'
conn-accept --state relay.json --list | jq -s length
grp-relay-invite --state group.json --timeout 1 2>stderr >/dev/null || echo "exit $?"
cat stderr

echo "# it refuses, and hears that we heard"
answer no.json "$(says x.grp.relay.reject '{"reason":"capacity"}')"
grp-relay-invite --state group.json 2>stderr >/dev/null || echo "exit $?"
cat stderr
conn-recv --state no.json | jq -r 'select(.type == "peer_info").text'
relays

echo "# it answers with the link of somebody else: nothing is published, and it hears nothing"
grp-relay-invite --state group.json --relay "$relay" --no-wait >/dev/null
answer wrong.json "$(says x.grp.relay.acpt "$(jq -n --arg link "${address/\/a#/\/g#}" '{relayLink: $link}')")"
grp-relay-invite --state group.json 2>stderr >/dev/null || echo "exit $?"
cat stderr
conn-recv --state wrong.json --timeout 1 2>stderr || echo "exit $?"
jq -c '[.link_data.version, .relays]' group.json

echo "# it says nothing, is asked once more as the same member, and given up"
grp-relay-invite --state group.json --relay "$relay" --no-wait >/dev/null
grp-relay-invite --state group.json --again "$relay" --no-wait >/dev/null
conn-accept --state relay.json --list | jq -r .text | jq -r .params.groupRelayInvitation.relayMemberId | uniq -c | awk '{ print $1 }'
grp-relay-invite --state group.json --cancel "$relay" | jq -c '[.relay_records[] | [.status, .reason]]'
jq 'has("connections")' group.json

echo "# it does not hold the key of its address"
conn-accept --state relay.json --reject | jq -r .type
conn-accept --state relay.json --reject | jq -r .type
(
  until conn-accept --state relay.json --list | grep -q challenge; do sleep 0.1; done
  test=$(conn-accept --state relay.json --list | jq -r .text | jq -c '.params + {signature: ("A" * 86 + "==")}')
  answer test.json "$(says x.grp.relay.test "$test")" >/dev/null
) &
grp-relay-invite --state group.json --relay "$relay" --test 2>stderr || echo "exit $?"
wait $!
hide <stderr
relays

echo "# nothing else is left behind"
grp-relay-invite --state group.json | jq -c '[.status, .link_data.version]'
jq 'has("connections")' group.json
