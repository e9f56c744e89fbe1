# Sourced by every script: where the clone is, and one set of build flags for all of them.
# One set matters: each combination of GOEXPERIMENT and -trimpath is a build cache of its own.
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv="$root/.venv"
state="$venv/clt" # stamps and logs of the set-up

export GOWORK=off
export GOEXPERIMENT="${CLT_GOEXPERIMENT-simd}"

# Jupyter keeps its settings, signatures and running servers inside the clone, or in the user's temporary folder if nothing
# can be written here.
jupyter="$state/jupyter"
if [ -d "$venv" ] && [ ! -w "$venv" ]; then
	jupyter="${TMPDIR:-/tmp}/clt-$(id -u)/jupyter"
	mkdir -p -m 700 "${TMPDIR:-/tmp}/clt-$(id -u)"
fi
export JUPYTER_CONFIG_DIR="$jupyter/config"
export JUPYTER_DATA_DIR="$jupyter/data"
export JUPYTER_RUNTIME_DIR="$jupyter/runtime"
export IPYTHONDIR="$jupyter/ipython"
export PYTHONPATH="$root/notebooks/templates"

# die says why, in red on a terminal.
die() {
	if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then printf '\033[31m%s\033[0m\n' "$*" >&2; else printf '%s\n' "$*" >&2; fi
	exit 1
}

# sha256 of what stands on standard input
digest() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-64
}

# must_write WHAT: ends here if nothing can be written in the clone.
must_write() {
	[ -w "$root" ] || die "$1: nothing can be written in this clone; copy it to a folder of your own: cp -r . ~/clt"
}

# have_cgo: can programs with C parts be built here? XLA needs it.
have_cgo() {
	[ "${CGO_ENABLED:-1}" != 0 ] || return 1
	printf '#include <stdlib.h>\nint main(void){return 0;}\n' |
		$(go env CC) -x c -o "${TMPDIR:-/tmp}/clt-cc.$$" - 2>/dev/null || return 1
	rm -f "${TMPDIR:-/tmp}/clt-cc.$$"
}

# xla_platform: the platforms for which a plugin is known
xla_platform() { [ "$(go env GOOS)/$(go env GOARCH)" = linux/amd64 ]; }

# build_tags prints the flags for a build that this machine can do.
build_tags() {
	if xla_platform && have_cgo; then echo; else echo "-tags=noxla"; fi
}

# vcs_flag: stamping the revision fails in a checkout that git does not trust
vcs_flag() {
	if git -C "$root" status --porcelain >/dev/null 2>&1; then echo -buildvcs=true; else echo -buildvcs=false; fi
}
