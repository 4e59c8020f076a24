# A contact address: known before it is there, asked by several, answered one by one, into files of their own.

mkfifo ready
smp-serve --listen 127.0.0.1:0 --quiet >ready &
read -r line <ready
server=$(jq -r .address <<<"$line")

hide() { sed "s/127.0.0.1:[0-9]*/HOST/g"; }
join() { conn-join "$link" --server "$server" "$@" | jq -c '[.role, .status, .link_data.text, .peer_info.text]'; }

echo "# the link is known before anything is sent, and then created"
conn-invite --state contact.json --server "$server" --address --data 'Ask me' --offline | jq -r .link >promised
conn-invite --state contact.json >address.json
jq -r .link address.json | cmp - promised
jq -c '[.role, .status, .link_data.text]' address.json
link=$(cat promised)

echo "# three ask; nobody is there"
join --state bob.json --info 'I am Bob'
join --state carol.json --info 'I am Carol' --pq off
join --state dave.json --info 'I am Dave'
join --state dave.json
conn-recv --state bob.json

echo "# the owner looks, accepts the first, rejects another"
conn-accept --state contact.json --list
conn-accept --state contact.json --server "$server" --into owner-bob.json --info 'Welcome' |
  jq -c '[.role, .status, .answers.request, .peer_info.text]'
conn-accept --state contact.json --request 2 --reject | jq -c '[.requests[].text]'
conn-accept --state contact.json --request 2 --into owner-carol.json --server "$server" --timeout 3 2>stderr || echo "exit $?"
hide <stderr
ls owner-*

echo "# an accepted request is not accepted again, neither by number nor in the same file"
conn-accept --state contact.json --server "$server" --into owner-bob.json | jq -c '[.status, .answers.request]'
conn-accept --state contact.json --server "$server" --into owner-bob.json --request 3 2>stderr || echo "exit $?"
hide <stderr

echo "# whoever asked lets the owner in, in passing"
conn-recv --state bob.json
conn-recv --state owner-bob.json
conn-send --state bob.json 'thank you' | jq .number
conn-recv --state owner-bob.json | jq -c '[.type, .number, .text, .integrity.result, .post_quantum]'

echo "# or while it waits"
conn-join --state dave.json --wait --timeout 100 >dave.out &
conn-accept --state contact.json --server "$server" --into owner-dave.json --info 'And you' --wait --timeout 100 |
  jq -c '[.status, .peer_info.text]'
wait $!
jq -c '[.status, .peer_info.text]' dave.out

echo "# commands of a request"
conn-join "$link" --server "$server" --state erin.json --trace trace.jsonl >erin.out
jq -r .step trace.jsonl | grep '^smp_'

echo "# a cut between the two files of an acceptance is mended by the next run"
cp contact.json before.json
conn-accept --state contact.json --list | jq -c '[.id, .text]'
cp contact.json asked.json
conn-accept --state contact.json --server "$server" --into owner-erin.json | jq -c '[.status, .answers.request]'
mv asked.json contact.json
conn-accept --state contact.json --server "$server" --into owner-erin.json | jq -c '[.status, .answers.request]'
jq -c .requests contact.json

echo "# without the address connections go on"
conn-delete --state contact.json
join --state frank.json 2>stderr || true
hide <stderr
conn-send --state owner-bob.json 'still here' | jq .number
conn-recv --state bob.json | jq -c '[.type, .text]'
