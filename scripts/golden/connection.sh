# Two sides of a connection by hand: invite, join, accept, talk, end. Every command is run again, as after a crash.

mkfifo ready
smp-serve --listen 127.0.0.1:0 --quiet >ready &
read -r line <ready
server=$(jq -r .address <<<"$line")

hide() { sed "s/127.0.0.1:[0-9]*/HOST/g"; }
short() { jq -c 'del(.sent_at, .hash)'; }

echo "# invite, and again"
conn-invite --state alice.json --server "$server" --data '{"name":"Ada"}' --trace trace.jsonl >invitation.json
conn-invite --state alice.json --server "$server" --data '{"name":"Ada"}' | cmp - invitation.json
jq -c '[.type, .role, .status, .link_data.text, has("records")]' invitation.json

echo "# join through a pipe, and again; the peer need not be there"
conn-join --state bob.json --server "$server" --info 'I am Bob' --trace trace.jsonl <invitation.json >joined.json
conn-join --state bob.json --server "$server" --info 'I am Bob' | cmp - joined.json
jq -c '[.role, .status, .link_data.text, .agent_version, .ratchet_version, .post_quantum]' joined.json

echo "# nobody else can use the link"
conn-join --state eve.json --server "$server" <invitation.json 2>stderr || echo "exit $?"
hide <stderr

echo "# a message right after joining"
conn-send --state bob.json 'are you there?' | short
conn-send --state alice.json 'not yet' 2>stderr || echo "exit $?"
hide <stderr

echo "# accept, and again"
conn-accept --state alice.json --list
conn-accept --state alice.json --info 'I am Alice' --trace trace.jsonl >accepted.json
conn-accept --state alice.json --info 'I am Alice' | cmp - accepted.json
jq -c '[.status, .peer_info.text, .post_quantum]' accepted.json
conn-recv --state alice.json --receipts | short

echo "# the joiner hears of it when it looks"
conn-recv --state bob.json | short
conn-recv --state bob.json | short
[ "$(jq -r .security_code alice.json)" = "$(jq -r .security_code bob.json)" ] && echo "same security code"

echo "# post-quantum from now on, both ways, with receipts; bytes that are no text"
printf 'one\ntwo\n' | conn-send --state alice.json --lines | short
printf 'three\377' | conn-send --state alice.json | short
conn-recv --state bob.json --receipts | short
conn-send --state bob.json --no-receipt 'fine' | short
conn-recv --state alice.json --receipts | short
conn-recv --state bob.json --receipts | short

echo "# what was left behind is sent by whoever comes next"
conn-send --state alice.json --no-wait 'later' | short
conn-recv --state bob.json --count 1 --timeout 3 2>stderr || echo "exit $?"
hide <stderr
conn-recv --state alice.json | short
conn-recv --state bob.json --count 1 | short

echo "# commands on the wire"
jq -r 'select(.step | startswith("smp_")) | select(.step | IN("smp_connect", "smp_sub", "smp_ack") | not) | "\(.who): \(.step) \(.outcome)"' trace.jsonl

echo "# suspended: the peer is refused, what has come stays"
conn-send --state alice.json 'last' | short
conn-delete --state bob.json --suspend | jq -c .status
conn-send --state alice.json 'too late' 2>stderr || echo "exit $?"
hide <stderr
conn-recv --state bob.json | short

echo "# deleted: nothing is left"
conn-delete --state bob.json
conn-delete --state bob.json 2>stderr || echo "exit $?"
hide <stderr
conn-delete --state alice.json --after-delivery
ls
