module github.com/etredal/cross-layer-transcoder/tools/frame

go 1.26.5

tool github.com/evanw/esbuild/cmd/esbuild

require (
	github.com/evanw/esbuild v0.25.9 // indirect
	golang.org/x/sys v0.0.0-20220715151400-c0bba94af5f8 // indirect
)
