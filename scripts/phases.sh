# The phases of setup.sh. Sourced.

phase_names=() phase_seconds=()

# phase NAME KEY COMMAND: runs the command unless its stamp holds the key.
phase() {
	local name=$1 key=$2 t0=$SECONDS
	shift 2
	if [ "$(cat "$state/stamps/$name" 2>/dev/null)" = "$key" ]; then return; fi
	rm -f "$state/stamps/$name"
	set +e # not "$@" || die: inside a condition errors in functions would go unseen
	(set -e && "$@")
	local rc=$?
	set -e
	[ $rc = 0 ] || die "setup: $name failed; see above"
	echo "$key" >"$state/stamps/$name"
	phase_names+=("$name") phase_seconds+=("$((SECONDS - t0))")
	printf 'setup: %-11s %3d s\n' "$name" "$((SECONDS - t0))"
}

summary() {
	if [ ${#phase_names[@]} = 0 ]; then
		echo "setup: nothing to do"
	else
		echo "setup: ${#phase_names[@]} phases in $SECONDS s"
	fi
	[ -f "$state/note" ] && cat "$state/note"
	return 0
}

# --- prerequisites -------------------------------------------------------------------------------------------------

find_prerequisites() {
	local missing=() p
	if ! command -v go >/dev/null; then
		missing+=("Go 1.26 or newer: install it from the Go download page, or: brew install go")
	else
		go_version=$(GOTOOLCHAIN=local go env GOVERSION)
		case $go_version in
		go1.[0-9] | go1.[0-9].* | go1.1[0-9]* | go1.2[0-5]*)
			missing+=("Go 1.26 or newer (found $go_version): install it from the Go download page, or: brew install go") ;;
		esac
	fi
	python=
	for p in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
		[ -n "$p" ] && "$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python=$p && break
	done
	if [ -z "$python" ]; then
		missing+=("Python 3.11 or newer: apt-get install python3 python3-venv, dnf install python3, or brew install python")
	elif ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
		missing+=("Python's venv module: apt-get install python3-venv")
	fi
	[ ${#missing[@]} = 0 ] && return
	printf 'setup: missing %s\n' "${missing[@]}" >&2
	if [[ "${missing[*]}" != *"Go 1.26"* ]]; then
		echo 'setup: without Python the command line works: make build && bin/clt practice' >&2
	fi
	exit 1
}

# --- Python --------------------------------------------------------------------------------------------------------

# start_python FILE: creates the virtual environment and installs the locked requirements, in the background.
start_python() {
	# The path is part of the key: pip writes absolute paths into scripts, so a moved clone needs a new environment.
	python_key="$root $("$python" -c 'import sys; print(sys.version, sys.prefix)')"
	python_stamp="$python_key $(digest <"$1")"
	python_pid=
	if [ "$(cat "$state/stamps/python" 2>/dev/null)" = "$python_stamp" ]; then return; fi
	# The larger set of the tests holds the smaller one: do not go back and forth between the two.
	if [ "$1" = requirements.txt ] &&
		[ "$(cat "$state/stamps/python" 2>/dev/null)" = "$python_key $(digest <requirements-test.txt)" ]; then
		python_stamp="$python_key $(digest <requirements-test.txt)"
		return
	fi
	echo "setup: installing $1 into .venv (in the background)"
	install_python "$1" >"$state/python.log" 2>&1 &
	python_pid=$!
}

install_python() {
	if [ ! -x "$venv/bin/python" ] || [ "$(cat "$state/stamps/venv" 2>/dev/null)" != "$python_key" ]; then
		rm -rf "$venv/lib" "$venv/bin/python"* "$venv/pyvenv.cfg" "$state/stamps/python" "$state/stamps/plugin"
		"$python" -m venv "$venv"
		echo "$python_key" >"$state/stamps/venv"
	fi
	# --no-deps: the lock names everything. The plugin comes along: one call instead of two.
	local plugin=()
	xla_platform && plugin=(-r requirements-xla.txt)
	if pip_install -r "$1" ${plugin[@]+"${plugin[@]}"}; then return; fi
	pip_install -r "$1"
}

pip_install() {
	"$venv/bin/python" -m pip install -q --no-input --disable-pip-version-check --no-deps --require-hashes --no-compile "$@"
}

wait_python() {
	[ -n "$python_pid" ] || return 0
	local t0=$SECONDS
	if ! wait "$python_pid"; then
		tail -n 20 "$state/python.log" >&2
		die "setup: python failed; the whole log is .venv/clt/python.log"
	fi
	python_pid=
	echo "$python_stamp" >"$state/stamps/python"
	phase_names+=(python) phase_seconds+=("$((SECONDS - t0))")
	printf 'setup: %-11s %3d s more after the Go phases\n' python "$((SECONDS - t0))"
}

stop_python() { [ -z "${python_pid:-}" ] || kill "$python_pid" 2>/dev/null || true; }

# --- Go ------------------------------------------------------------------------------------------------------------

build_tools() {
	(cd tools && go build -trimpath -o "$venv/bin/" github.com/janpfeifer/gonb golang.org/x/tools/cmd/goimports)
}
build_staticcheck() { (cd tools && go build -trimpath -o "$venv/bin/" honnef.co/go/tools/cmd/staticcheck); }
build_gopls() { (cd tools/gopls && go build -trimpath -o "$state/gopls/" golang.org/x/tools/gopls); }

# sources prints a hash of the Go files below the given folders that are not tests.
sources() {
	find "$@" -name '*.go' ! -name '*_test.go' -type f -print0 2>/dev/null | LC_ALL=C sort -z | xargs -0 cat 2>/dev/null | digest
}
# caches: a stamp says nothing once the module cache or the build cache was emptied
caches() {
	go env GOMODCACHE GOCACHE | while read -r d; do
		[ -n "$(ls "$d" 2>/dev/null)" ] && echo "$d" || echo "empty $RANDOM"
	done
}
cells_inputs() {
	echo $(sources notebooks/lab viz clt/attribution internal/engine/wire) $(cat go.mod go.sum notebooks/kernel/env.sh | digest) \
		"$go_version" $(caches)
}
clt_inputs() {
	echo $(sources cmd clt gpt2 viz internal notebooks) $(find gpt2/pocket -type f 2>/dev/null | digest) \
		$(cat go.mod go.sum | digest) "$go_version" "$(build_tags)"
}

# warm_cells builds one cell as GoNB will, with the network on: go.work loads the unpruned module graph, which needs go.mod
# files that a plain build never downloads, and cells are built offline.
warm_cells() (
	proxy=$(go env GOPROXY)
	. "$root/notebooks/kernel/env.sh"
	export GOPROXY="$proxy"
	cell=$(mktemp -d)
	trap 'rm -rf "$cell"' EXIT
	{
		echo 'package main'
		echo 'import ('
		echo ' "fmt"'
		echo ' "github.com/janpfeifer/gonb/gonbui"'
		for p in $(GOWORK=off go list ./notebooks/lab ./viz ./clt/attribution); do echo " _ \"$p\""; done
		echo ')'
		echo 'func main() { fmt.Println(gonbui.IsNotebook) }'
	} >"$cell/main.go"
	cd "$cell"
	unset GOWORK
	go mod init gonb_warm 2>/dev/null
	go work init . "$root"
	go build -o cell .
)

# --- what comes after ----------------------------------------------------------------------------------------------

# install_plugin makes sure that a plugin is there, or says in one line why not. It never fails: XLA is optional.
install_plugin() {
	rm -f "$state/note" "$state/pjrt_plugin"
	if ! xla_platform; then
		echo "setup: no XLA plugin is known for $(go env GOOS)/$(go env GOARCH); everything runs on the Go backend" >"$state/note"
		return
	fi
	if ! plugin_path >/dev/null; then
		pip_install -r requirements-xla.txt || pip_install -r requirements-xla-fallback.txt || true
	fi
	if plugin_path >"$state/pjrt_plugin"; then return; fi
	rm -f "$state/pjrt_plugin"
	echo "setup: the XLA CPU plugin could not be installed; everything runs on the Go backend" >"$state/note"
}

# plugin_path prints the plugin's path relative to the virtual environment.
plugin_path() {
	local p
	for p in "$venv"/lib/python3*/site-packages/lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so \
		"$venv"/lib/python3*/site-packages/xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so; do
		[ ! -f "$p" ] || { echo "${p#"$venv"/}" && return; }
	done
	return 1
}

install_cuda() {
	xla_platform || die "setup: the CUDA plugin exists for Linux on x86-64 only"
	pip_install -r requirements-cuda.txt
	# go-xla looks for the libraries beside the plugin's folder
	local site
	site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
	ln -sfn ../nvidia "$site/jax_plugins/nvidia"
}

link_kernel() {
	mkdir -p "$venv/share/jupyter/kernels" "$venv/share/jupyter/lab/settings"
	rm -rf "$venv/share/jupyter/kernels/gonb" # ln -sfn would link inside an existing directory
	ln -s ../../../../notebooks/kernel "$venv/share/jupyter/kernels/gonb"
	cp notebooks/templates/lab/overrides.json "$venv/share/jupyter/lab/settings/overrides.json"
}
