package engine

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

var writePage = flag.Bool("circuits", false, "write tutorials/circuits.md anew")

const circuitsPage = "../../tutorials/circuits.md"

var circuitColumns = []string{"circuit", "group", "transcoder", "prompt", "answer", "features", "influence", "answer's logit", "random, mean", "random, largest", ""}

// markdown is a table.
func markdown(columns []string, rows [][]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s |\n|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(r, " | "))
	}
	return b.String()
}

// checkCircuitsPage holds the page against what was just measured: the same circuits,
// each with the same verdict. Numbers may differ in the last digits between machines.
func checkCircuitsPage(t *testing.T, s *Service, rows [][]string) {
	t.Helper()
	if *writePage {
		if err := atomicfile.Write(circuitsPage, []byte(pageText(t, s, rows))); err != nil {
			t.Fatal(err)
		}
	}
	const again = "make it again: go test ./internal/engine -run TestCircuitsOfTheWorld -circuits"
	page, err := os.ReadFile(circuitsPage)
	if err != nil {
		t.Fatalf("%v; %s", err, again)
	}
	lines := strings.Split(string(page), "\n")
	for _, r := range rows {
		begin, end, found := "| "+strings.Join(r[:5], " | ")+" | ", " | "+r[len(r)-1]+" |", false
		for _, l := range lines {
			found = found || strings.HasPrefix(l, begin) && strings.HasSuffix(l, end)
		}
		if !found {
			t.Errorf("%s has no line that begins with %q and ends with %q; %s", circuitsPage, begin, end, again)
		}
	}
}

// pageText is the page: known circuits, replacement models and baselines, faithfulness.
func pageText(t *testing.T, s *Service, circuits [][]string) string {
	t.Helper()
	var models [][]string
	for _, name := range []string{"pocket", "pocket-batchtopk", "pocket-per-layer"} {
		e, err := s.Eval(t.Context(), wire.EvalRequest{Setup: wire.Setup{Backend: "go", CLT: name}, World: true, Tokens: 10000}, nil)
		if err != nil {
			t.Fatal(err)
		}
		row := []string{name}
		for _, v := range []float64{e.L0, e.NMSE, e.CE, e.CEReplaced, *e.CENeurons, e.CEMean, e.CEZero, e.KL, e.Top1, e.Cosine, e.MSE} {
			row = append(row, fmt.Sprintf("%.4g", v))
		}
		models = append(models, row)
	}
	f, err := s.Faithfulness(t.Context(), wire.FaithfulnessRequest{Setup: wire.Setup{Backend: "go"}, N: faithfulPrompts}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var predictors, ranges, depths [][]string
	for _, p := range append(f.Predictors, f.Feature) {
		predictors = append(predictors, []string{p.Name, fmt.Sprintf("%.3f", p.Spearman), fmt.Sprint(p.Pairs), fmt.Sprint(p.Prompts)})
	}
	for _, r := range f.Ranges {
		ranges = append(ranges, []string{fmt.Sprint(r.Beyond), fmt.Sprint(r.Features), fmt.Sprintf("%.4f", r.KL), fmt.Sprintf("%.3f", r.Logit),
			fmt.Sprintf("%.0f %%", 100*r.Strongest), fmt.Sprintf("%.3f", r.Spearman)})
	}
	for _, d := range f.Depths {
		if d.N > 0 {
			depths = append(depths, []string{d.Kind, fmt.Sprint(d.Depth), fmt.Sprint(d.N), fmt.Sprintf("%.3f", d.Cosine), fmt.Sprintf("%.3f", d.NMSE),
				fmt.Sprintf("%.3f", d.StreamCos), fmt.Sprintf("%.3f", d.StreamNMSE)})
		}
	}
	return fmt.Sprintf(pageFrame, markdown(circuitColumns, circuits),
		markdown([]string{"transcoder", "L0", "NMSE", "model", "replaced", "neurons", "mean", "zero", "KL", "same top token", "cosine", "squared error"}, models),
		markdown([]string{"predictor", "Spearman", "pairs", "prompts"}, predictors),
		markdown([]string{"layers beyond", "features", "mean KL", "mean change of the logit", "does most here", "Spearman with influence"}, ranges),
		markdown([]string{"push", "layers on", "n", "cosine of MLP outputs", "NMSE", "cosine of streams", "NMSE of streams"}, depths))
}

const pageFrame = `# Known circuits of the pocket model

Made by ` + "`go test ./internal/engine -run TestCircuitsOfTheWorld -circuits`" + ` on the Go backend, from the embedded model and transcoders; the same test
fails when a line of the first table is no longer true. What fails is listed as a failure.

## Circuits

The pocket model learnt an invented world, so the group of features that must be there is truth and no opinion: those of the pruned graph
(0.8, 0.98) that fire on at least 60 %% of the prompts that share the concept and on at most 25 %% of the same prompts with another word in
the place, at the same position. *Influence* is the group's share of that of all features kept. The group is then turned round (× −1, in the model
itself, nothing frozen): *answer's logit* is the change of the answer's centred logit, beside the mean and the largest drop under 20 random
controls of equal count and activation mass. A circuit is found if the answer falls and at most one control of the 20 does as much.

%s
The two-hop goes by a country that the prompt does not say. A cross-layer transcoder may skip such a step, as a feature can write what a person
means for the answer directly; a per-layer transcoder cannot.

## Replacement models and baselines

Losses in nats per token on 10,000 tokens that were not trained on. *Neurons* is the model with all MLP neurons at zero whose activation is below a threshold
of their layer, chosen so that as many neurons are active per token and layer as the transcoder has features (L0); *mean* and *zero* have the MLP
outputs at their mean and at zero. Cosine and squared error are those of the logits, the cosine after centring over the vocabulary.

%s
## Faithfulness

` + "`clt faithfulness`" + ` on 20 prompts. What predicts the effect of taking a feature out:

%s
Constrained patching that ends so many layers behind the feature's own:

%s
The local replacement model's answer to a push against the model's own, medians:

%s`
