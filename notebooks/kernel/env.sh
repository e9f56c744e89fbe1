# Sourced with $root set, by start.sh and by the set-up, which fills the build cache with exactly these flags: with any
# other the first cell would compile the standard library again (44 s).
export CLT_ROOT="$root"
export GOEXPERIMENT=simd
export GOFLAGS="-trimpath -ldflags=-s" # -s: no symbols, 0.2 s less per cell; never -mod=mod, which excludes go.work
export GOPROXY="${CLT_GOPROXY:-off}" # cells build offline; to try another library set CLT_GOPROXY before make lab
unset GOWORK
export PATH="$root/.venv/bin:$PATH" # goimports, and gopls if there
