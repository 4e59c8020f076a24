# What does not fit, what does not fit any more, and what nobody answers.

mkfifo ready
smp-serve --listen 127.0.0.1:0 --quota 2 --quiet >ready &
read -r line <ready
server=$(jq -r .address <<<"$line")

hide() { sed "s/127.0.0.1:[0-9]*/HOST/g"; }
refused() { "$@" >stdout 2>stderr || echo "exit $?"; jq -c 'del(.hash)' stdout; hide <stderr; }
bytes() { head -c "$1" /dev/zero | tr '\0' x; }

conn-invite --state alice.json --server "$server" >invitation.json
echo "# information is checked before anything is sent"
refused conn-join --state bob.json --server "$server" --info "$(bytes 20000)" <invitation.json
conn-join --state bob.json --server "$server" --info "$(bytes 10000)" <invitation.json | jq -r .status
refused conn-accept --state alice.json --info "$(bytes 14000)"
conn-accept --state alice.json --info "$(bytes 11000)" | jq -c '[.status, (.peer_info.text | length)]'
conn-recv --state bob.json | jq -c '[.type, (.text // "" | length)]'

echo "# a message holds so much, and not a byte more"
bytes 13573 | conn-send --state alice.json | jq -c .number
bytes 13574 >body
refused conn-send --state alice.json <body
conn-recv --state bob.json | jq -c '[.number, (.text | length)]'

echo "# a full queue keeps back what is sent until the peer has received"
printf '1\n2\n' | conn-send --state alice.json --lines | jq -c '[.number, .status]'
printf '3\n' | refused conn-send --state alice.json --lines --timeout 3
conn-recv --state bob.json | jq -c '[.number, .text, .integrity.result]'
conn-recv --state alice.json
conn-recv --state bob.json | jq -c '[.number, .text, .integrity.result]'

echo "# a file that another program uses for longer than --timeout"
flock --no-fork alice.json.lock sleep 100 &
until ! flock --nonblock alice.json.lock true; do sleep 0.01; done
refused conn-send --state alice.json --timeout 3 'busy'
refused conn-recv --state alice.json --timeout 3
kill %2

echo "# nobody comes"
conn-invite --state dora.json --server "$server" >invitation.json
refused conn-accept --state dora.json --timeout 3
conn-join --state emil.json --server "$server" <invitation.json | jq -r .status
refused conn-join --state emil.json --wait --timeout 3
refused conn-accept --state emil.json
refused conn-recv --state emil.json --count 1 --timeout 3
