//go:build cgo && !noxla && linux && amd64

package backend

import "github.com/gomlx/go-xla/compute/xla"

const xlaLinked = true

func init() { xla.EnableAutoInstall(false) } // nothing is downloaded behind the user's back
