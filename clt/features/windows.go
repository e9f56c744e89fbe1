package features

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Windows cuts a text's tokens into windows in order, once: each with bos in front
// (none if negative), in steps of batch windows; the last one may be shorter. The
// source ends with io.EOF.
func Windows(ids []int32, bos int32, batch, window int) (gpt2.TokenSource, error) {
	room := window
	if bos >= 0 {
		room--
	}
	if room < 1 || window < 2 || batch < 1 {
		return nil, fmt.Errorf("features: windows of %d tokens in steps of %d; give at least 2 and 1", window, batch)
	}
	if len(ids) < 2 {
		return nil, fmt.Errorf("features: the text has %d tokens; give at least two", len(ids))
	}
	return func(step int) ([][]int32, error) {
		var list [][]int32
		for i := step * batch; i < (step+1)*batch && i*room < len(ids); i++ {
			var w []int32
			if bos >= 0 {
				w = append(w, bos)
			}
			if w = append(w, ids[i*room:min((i+1)*room, len(ids))]...); len(w) > 1 {
				list = append(list, w)
			}
		}
		if len(list) == 0 {
			return nil, io.EOF
		}
		return list, nil
	}, nil
}

// Rows is how many windows a step should have, so that the activations of one step
// stay within 64 MiB.
func Rows(layers, features, window int) int {
	return max(1, min(32, 64<<20/max(1, 4*layers*features*window)))
}

func hashWindows(windows [][]int32) string {
	h := sha256.New()
	for _, w := range windows {
		_ = binary.Write(h, binary.LittleEndian, int32(len(w)))
		_ = binary.Write(h, binary.LittleEndian, w)
	}
	return hex.EncodeToString(h.Sum(nil))
}
