# Several owners of one group: a request, a handover, two who write the same link, one who is removed.

mkfifo ready
smp-serve --listen 127.0.0.1:0 --quiet >ready &
read -r line <ready
server=$(jq -r .address <<<"$line")
said() { grp-link-verify ann.json | jq -c '[(.owners | length), .profile.fullName, .profile.description]'; }

grp-keygen | grp-link-create --server "$server" --name Walks --out ann.json >/dev/null

echo "# the request and the handover show no secret"
grp-link-verify ann.json | grp-owner-request --out keys.json >request.json
jq -c keys_unsorted request.json
grp-owner-add request.json --state ann.json >handover.json
jq -c keys_unsorted handover.json
said

echo "# letting in and accepting twice are harmless"
grp-owner-add request.json --state ann.json | jq -r .type
for time in once twice; do
  grp-owner-accept handover.json --keys keys.json --state bob.json |
    jq -c '[.status, (.owners | length), (.owner | has("root_private_key")), .link_data.version]'
done
said

echo "# each owner takes what the other one wrote"
grp-link-create --state bob.json --update --description 'On Sundays' | jq -r .profile.description
grp-link-create --state ann.json --update --full-name 'Walks for all' | jq -c '[.profile.fullName, .profile.description]'
said
grp-status bob.json | jq -c '[.link_written, [.owners[].is_self]]'

echo "# a further owner lets in another one"
grp-link-verify ann.json | grp-owner-request --out cleo.keys >cleo.request
grp-owner-add cleo.request --state bob.json >cleo.handover
grp-owner-accept cleo.handover --keys cleo.keys --state cleo.json | jq '.owners | length'

echo "# what is for somebody else, or was changed, is refused"
grp-owner-accept cleo.handover --keys keys.json --state other.json 2>stderr || echo "exit $?: $(cut -d : -f 2 stderr)"
jq -c '.signature |= (.[:10] + "AAAA" + .[14:])' cleo.handover >changed
grp-owner-accept changed --keys cleo.keys --state other.json 2>stderr || echo "exit $?: $(cut -d : -f 2 stderr)"
jq -c '.queue_public_key = .owner_public_key' cleo.request >changed
grp-owner-add changed --state ann.json 2>stderr || echo "exit $?: $(cut -d : -f 2 stderr)"
grp-owner-accept handover.json --keys keys.json --state cleo.json 2>stderr || echo "exit $?: $(cut -d : -f 2 stderr)"

echo "# who is removed takes along those it let in, and changes nothing any more"
grp-owner-remove --state cleo.json "$(jq -r .owner_id request.json)" 2>stderr || echo "exit $?: $(cut -d : -f 2 stderr)"
grp-owner-remove --state ann.json "$(jq -r .owner_id request.json)" | jq '.owners // [] | length'
grp-link-create --state bob.json --update --description Mine 2>stderr || echo "exit $?: $(cut -d : -f 2 stderr)"
said
