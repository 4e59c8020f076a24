# A group link on a server of its own: made, verified, prepared, created twice, updated, kept, lied about.

mkfifo ready
smp-serve --listen 127.0.0.1:0 --quiet >ready &
read -r line <ready
server=$(jq -r .address <<<"$line")

checks() { jq -c '[.type, ([.checks[] | select(.result != "passed") | [.name, .result]])]'; }

echo "# keys, link and verification in one line"
grp-keygen | grp-link-create --server "$server" --name Walks | grp-link-verify |
  jq -r '.type, .group_type, .profile.displayName, (.checks[] | "\(.result) \(.name)")'

echo "# the link is known before anything is sent"
grp-keygen --out owner.json >keys.json
grp-link-create owner.json --offline --server "$server" --type group --name Runs >prepared.json
jq -r .status prepared.json
grp-link-verify prepared.json 2>stderr | checks || cut -d : -f 1-3 stderr

echo "# the prepared document creates exactly that link; the second run finds the first one's"
grp-link-create prepared.json >created.json
grp-link-create prepared.json >again.json
for document in prepared created again; do jq -r .link $document.json; done | uniq | wc -l
jq -r .status again.json
grp-link-verify again.json | checks

echo "# an update changes what the link says, and twice is harmless"
grp-link-create created.json --update --description 'On Sundays' --member-count 3 >updated.json
grp-link-create updated.json --update >twice.json
grp-link-verify created.json | jq -c '[.profile.displayName, .profile.description, .member_count]'
grp-link-create again.json --update --description 'At nine' >late.json
grp-link-verify created.json | jq -r .profile.description

echo "# a state file goes all the way, and stdout shows no secret"
cp owner.json state.json
grp-link-create --state state.json --server "$server" --name Kept | jq -c '.status, (.owner | keys), (.queue | keys)'
grp-link-create --state state.json | jq -r .status
grp-link-create --state state.json --update --full-name 'Kept for long' | jq -r .profile.fullName
grp-link-verify state.json --trace trace.jsonl | checks
jq -r '"\(.who): \(.step) \(.outcome)"' trace.jsonl

echo "# a shortened link needs its server"
link=$(jq -r .link created.json)
grp-link-verify "${link%%\?*}" 2>/dev/null || echo "exit $?"
grp-link-verify "${link%%\?*}" --server "$server" | checks

echo "# a link that calls itself something else is not the link in the profile"
grp-link-verify "${link/\/g#//c#}" 2>/dev/null | checks || echo "not verified"
