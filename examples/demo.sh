#!/bin/sh
# Deploys the example company and shows three things to try; what `make run`
# does.
#
#   examples/demo.sh DIR [once]
#
# DIR gets company.git, the repository that is watched, company, a clone of it
# to work in, and the reconciler's data. What is there already stays. The
# daemon runs until it is interrupted, or not at all with "once".
set -eu

examples=$(dirname "$0")
dir=$1
once=${2:-}
reconciler=${RECONCILER:-bin/reconciler}
company=$dir/company
flags="--repo $dir/company.git --data $dir"
deployed=

# sync deploys; tenants that are blocked (3) are part of the show.
sync() {
	"$reconciler" sync $flags || [ $? -eq 3 ]
	echo
}

# commit DIRECTORY AUTHOR MESSAGE copies files over the clone, pushes and
# deploys them, unless that was done before.
commit() {
	if git -C "$company" log --format=%s 2>/dev/null | grep -qxF "$3"; then return; fi
	cp -R "$1/." "$company"
	git -C "$company" add -A
	git -C "$company" commit -q -m "$3" --author "$2"
	git -C "$company" push -q origin HEAD
	sync
	deployed=yes
}

if [ ! -d "$company" ]; then
	mkdir -p "$dir"
	git init -q --bare -b main "$dir/company.git"
	git init -q -b main "$company"
	git -C "$company" remote add origin ../company.git
	git -C "$company" config push.autoSetupRemote true
	git -C "$company" config user.name "You"
	git -C "$company" config user.email "you@trellis.example"
fi
commit "$examples/history/01-customers-and-deals-for-the-first-two" \
	"Mira Sand <mira@trellis.example>" "Customers and deals for the first two"
commit "$examples/history/02-billing-and-a-law-firm" \
	"Jonas Weil <jonas@trellis.example>" "Billing, and a law firm"
commit "$examples/repo" \
	"Mira Sand <mira@trellis.example>" "Support, amounts, and three more tenants"
[ "$deployed" ] || sync

see="$reconciler status --data $dir"
if [ "$once" ]; then see="$reconciler sync $flags"; fi
cat <<END
All of it is in $dir. Three things to try${once:+ (and "make run" watches)}:

Push a change, and every tenant gets it:

  echo '  birthday: {type: date, label: Birthday}' >> $company/apps/crm/objects/contact.yaml
  git -C $company commit -q -a -m "Ask contacts for their birthday"
  git -C $company push -q
  $see

Plan a branch, before it is merged:

  git -C $company switch -q -c fax
  echo '  fax: {type: phone, label: Fax}' >> $company/apps/crm/objects/contact.yaml
  git -C $company commit -q -a -m "Some of them have a fax"
  git -C $company push -q
  $reconciler plan $flags --revision fax
  git -C $company switch -q main

Take the change back:

  git -C $company revert --no-edit ':/Ask contacts'
  git -C $company push -q
  $see

And to look at what happened:

  $reconciler history --data $dir fjord-cycles

END
if [ "$once" ]; then exit; fi
exec "$reconciler" run $flags
