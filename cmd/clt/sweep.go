package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
	"github.com/etredal/cross-layer-transcoder/viz"
)

func sweepVerb(f *flag.FlagSet) func(c *call) error {
	request := trainFlags(f)
	lambdas := f.String("lambdas", "", "weights of the penalty, with commas: one run each")
	ks := f.String("ks", "", "active features per layer and token, with commas: one run each, for topk, tokentopk and batchtopk")
	asJSON := f.Bool("json", false, "the result as JSON")
	return func(c *call) error {
		l, err := numbers("lambdas", *lambdas)
		if err != nil {
			return err
		}
		k, err := numbers("ks", *ks)
		if err != nil {
			return err
		}
		if (len(l) == 0) == (len(k) == 0) {
			return badCall("give values of one setting to sweep over: -lambdas 0.1,0.2 or -ks 4,8")
		}
		req := wire.SweepRequest{Lambdas: l}
		for _, v := range k {
			if v != float64(int(v)) {
				return badCall("-ks %g; give whole numbers", v)
			}
			req.Ks = append(req.Ks, int(v))
		}
		if req.Train, err = request(c); err != nil {
			return err
		}
		if (len(k) > 0) != (strings.HasSuffix(req.Train.Activation, "topk")) {
			return badCall("-activation %s does not go with it; sweep -ks for topk, tokentopk and batchtopk, -lambdas for the others", req.Train.Activation)
		}
		c.saved = fmt.Sprintf("finished runs are kept in %s; the same clt sweep goes on", req.Train.Out)
		res, err := c.service().Sweep(c.ctx, req, c.progress())
		if err != nil {
			return err
		}
		picture := filepath.Join(req.Train.Out, "sweep.svg")
		if err := writeSVG(picture, sweepPicture(res)); err != nil {
			return err
		}
		c.remark("wrote %s", picture)
		if *asJSON {
			return c.json(res)
		}
		var rows [][]string
		for _, r := range res.Runs {
			m := r.Metrics
			rows = append(rows, []string{number(r.Value), number(m.L0), number(m.NMSE), number(m.Dead), number(m.KL), number(m.Top1)})
		}
		c.printf("%s", table("Sweep over "+res.Over, []string{res.Over, "L0 per layer", "nmse", "dead", "kl", "same top-1"}, rows))
		return nil
	}
}

// numbers reads numbers above 0 with commas between them.
func numbers(name, text string) ([]float64, error) {
	var list []float64
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		v, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
		if err != nil || !(v > 0) {
			return nil, badCall("-%s %s: %q is no number above 0; give some with commas between them", name, text, word)
		}
		list = append(list, v)
	}
	return list, nil
}

// sweepPicture shows error against sparsity, with the runs that no other beats in
// both joined.
func sweepPicture(res wire.SweepResponse) viz.Output {
	var points []viz.Point
	for _, r := range res.Runs {
		points = append(points, viz.Point{X: r.Metrics.L0, Y: r.Metrics.NMSE, Label: fmt.Sprintf("%s %g", res.Over, r.Value)})
	}
	return viz.Scatter("Error and sparsity, by "+res.Over, points,
		viz.ScatterOptions{XLabel: "active features per layer and token", YLabel: "NMSE", LogX: true, LogY: true, Pareto: true})
}
