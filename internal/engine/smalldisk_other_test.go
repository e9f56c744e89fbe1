//go:build unix && !linux

package engine

import (
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/testenv"
)

func smallDisk(t *testing.T, dir string) { testenv.Skip(t, "a small disk is mounted on Linux alone") }
