# Named, timed steps; all are run, the failed ones are listed at the end. Sourced.
step_names=() step_seconds=() step_failed=() step_skipped=()

step() { # step NAME COMMAND
	local name=$1 t0=$SECONDS rc
	shift
	printf '\n== %s\n' "$name"
	set +e
	(set -e && "$@")
	rc=$?
	set -e
	step_names+=("$name") step_seconds+=("$((SECONDS - t0))")
	[ $rc = 0 ] || { step_failed+=("$name") && echo "== $name failed ($rc)"; }
}

skip() { # skip NAME REASON
	printf '\n== %s skipped: %s\n' "$1" "$2"
	step_skipped+=("$1: $2")
}

finish() {
	local i
	printf '\n%-34s %s\n' step seconds
	for i in "${!step_names[@]}"; do printf '%-34s %7d\n' "${step_names[$i]}" "${step_seconds[$i]}"; done
	printf '%-34s %7d\n' all "$SECONDS"
	[ ${#step_skipped[@]} = 0 ] || printf 'skipped %s\n' "${step_skipped[@]}"
	[ ${#step_failed[@]} = 0 ] || die "failed: $(printf '%s; ' "${step_failed[@]}")"
	echo "all passed"
}

check_format() {
	local bad
	bad=$(find . -name .venv -prune -o -name '*.go' -print0 | xargs -0 gofmt -l)
	[ -z "$bad" ] || { printf 'not formatted; run gofmt -w on\n%s\n' "$bad" && return 1; }
}

staticcheck_step() {
	if [ -x "$venv/bin/staticcheck" ]; then
		step staticcheck "$venv/bin/staticcheck" $(build_tags) ./...
	else
		skip staticcheck "not built; scripts/setup.sh test builds it"
	fi
}
