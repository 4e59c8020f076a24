# One program waits for messages while others send on the same connection; peers that need more messages to connect.

mkfifo ready
smp-serve --listen 127.0.0.1:0 --quiet >ready &
read -r line <ready
server=$(jq -r .address <<<"$line")

connect() { # NAME and NAME, flags of both
  conn-invite --state "$1.json" --server "$server" $3 >invitation.json
  conn-join --state "$2.json" --server "$server" $4 <invitation.json >joined.json
  conn-accept --state "$1.json" --wait --timeout 100 >accepted.json &
  conn-join --state "$2.json" --wait --timeout 100 | jq -c '[.status, .post_quantum]'
  wait $!
  jq -c '[.status, .post_quantum]' accepted.json
}
wait_for() { # FILE with so many lines of TYPE
  until [ "$(jq -c "select(.type == \"$3\")" "$1" | wc -l)" -ge "$2" ]; do sleep 0.05; done
}

echo "# post-quantum if both want it"
connect a1 b1 "" ""
connect a2 b2 "--pq off" ""
connect a3 b3 "" "--pq off"
connect a4 b4 "--pq link" ""

echo "# queues that their recipients secure: on both sides, on one, on the other"
connect a5 b5 "--recipient-secures" "--recipient-secures"
connect a6 b6 "--recipient-secures" ""
connect a7 b7 "--no-short-link" "--recipient-secures"
for side in 5 6 7; do
  conn-send --state a$side.json 'to b' | jq -c .number
  conn-send --state b$side.json 'to a' | jq -c .number
  conn-recv --state a$side.json | jq -c '[.type, .number, .text, .integrity.result]'
  conn-recv --state b$side.json | jq -c '[.type, .number, .text, .integrity.result]'
done

echo "# both follow, both send, both confirm"
conn-recv --state a1.json --follow --receipts >a.jsonl &
following=$!
conn-recv --state b1.json --follow --receipts >b.jsonl &
for number in 1 2 3 4 5; do
  conn-send --state a1.json "a$number" >/dev/null &
  sender=$!
  conn-send --state b1.json "b$number" >/dev/null
  wait $sender
done
seq 6 9 | sed 's/^/a/' | conn-send --state a1.json --lines >/dev/null
wait_for a.jsonl 5 message
wait_for b.jsonl 9 message
wait_for a.jsonl 9 receipt
wait_for b.jsonl 5 receipt
jq -c 'select(.type == "message") | [.text, .integrity.result]' b.jsonl
jq -c 'select(.type == "message") | [.text, .integrity.result]' a.jsonl
cat a.jsonl b.jsonl | jq -r 'select(.type == "receipt").status' | sort | uniq -c | sed 's/^ *//'

echo "# who receives from the same queue takes it over"
conn-recv --state a1.json --follow >c.jsonl 2>/dev/null &
wait $following || echo "exit $?"
conn-send --state b1.json 'to whoever is there' >/dev/null
wait_for c.jsonl 1 message
jq -r .text c.jsonl
