package lab

import (
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// The curve shows the batches and, where it was measured, the text held out.
func TestLossCurve(t *testing.T) {
	points := []wire.Progress{{Done: 1, Total: 3, Values: map[string]float64{"loss": 5}},
		{Done: 2, Total: 3, Values: map[string]float64{"loss": 4, "val_loss": 4.5}},
		{Done: 3, Total: 3, Values: map[string]float64{"loss": 3, "val_loss": 4.25}}}
	o := lossOutput(points)
	if !strings.Contains(o.HTML, "held out") || !strings.Contains(o.HTML, "3.000 nats/token, 4.250 on text held out") {
		t.Errorf("plain %q, html %.300q", o.Plain, o.HTML)
	}
	for range 3 { // what was measured once is one point
		p := points[2]
		p.Done++
		points = append(points, p)
	}
	if o := lossOutput(points); !strings.Contains(o.Plain, "held out  2 ") {
		t.Errorf("two measurements, but %s", o.Plain)
	}
	if o := lossOutput(points[:1]); strings.Contains(o.HTML, "held out") {
		t.Error("held-out text is shown although there is none")
	}
	loss := 4.25
	has(t, &LMTraining{TrainLMResponse: wire.TrainLMResponse{Steps: 3, Loss: 3, Validation: &loss}}, "table", "4.250")
}
