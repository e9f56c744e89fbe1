package lab

import (
	"fmt"
	"html"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/etredal/cross-layer-transcoder/viz"
)

// verbs are what cells call, each with a line that works on the pocket model, where s is
// a session and g a graph.
var verbs = map[string]string{
	"Open":          `s := lab.Open("pocket")                     // or a folder, a fetched name, a second one for the transcoder`,
	"Model":         `lab.Show(s.Model())`,
	"Tokens":        `lab.Show(s.Tokens(" The capital of France is"))`,
	"Predict":       `lab.Show(s.Predict(" The capital of France is"))`,
	"Run":           `x := s.Run(" 3 plus 5 is", "blocks.0.*").Activation("blocks.0.hook_resid_post")`,
	"Tensor":        `w := s.Tensor("W_enc_0", 17).Data           // also Encoder, Decoder`,
	"Lens":          `lab.Show(s.Lens(" The capital of France is"))`,
	"Attention":     `lab.Show(s.Attention(" The capital of France is", 0))`,
	"Generate":      `lab.Show(s.Generate(" The", 20, 0.8, 1))    // tokens, temperature, seed`,
	"Train":         `t := s.Train(lab.TrainOptions{Steps: 200})  // then s.With(t.Dir)`,
	"TrainLM":       `lab.Show(s.TrainLM(lab.LMOptions{Steps: 200})) // a language model: Texts, or the pocket world`,
	"Eval":          `lab.Show(s.Eval())`,
	"Encode":        `lab.Show(s.Encode(" The capital of France is"))`,
	"Features":      `lab.Show(s.Features("Paris"))               // a label, a token, a logit`,
	"Feature":       `lab.Show(s.Feature(1, 148))                 // also .On(" I saw Paris"), .Name("Paris")`,
	"Explain":       `lab.Show(g.Prune().Explain())               // the graph with labels and cards`,
	"Operands":      `lab.Show(s.Operands(" %d plus %d is", 10).Between(8, 80))`,
	"Graph":         `g := s.Graph(" The capital of France is"); lab.Show(g); g.Proven()`,
	"Prune":         `lab.Show(g.Prune())                         // or g.PruneTo(attribution.PruneConfig{Node: 0.6, Edge: 0.98})`,
	"Why":           `lab.Show(s.Why(" The capital of France is", ""))`,
	"QK":            `lab.Show(s.QK(" The capital of France is", 1, 0, -1, 4))`,
	"Weights":       `lab.Show(s.Weights(0, 17))`,
	"WhatIf":        `lab.Show(s.WhatIf(" The capital of France is", lab.Ablate(g.Reading(" France", 8))))`,
	"Intervene":     `lab.Show(s.Intervene(" The capital of France is", lab.Scale(g.Reading(" France", 8), -1)))`,
	"Swap":          `lab.Show(s.Swap(" The capital of France is", " The capital of Japan is", nil))`,
	"Compare":       `lab.Show(s.Compare(s.With("pocket-per-layer"))) // graphs too: g.Compare(other)`,
	"Replace":       `lab.Show(s.Replace(" The capital of France is", 20))`,
	"Check":         `lab.Check(1+1 == 2, "arithmetic works")`,
	"Section":       `lab.Section("Graphs", "What they show.", a.Prune(), b.Prune())`,
	"Report":        `lab.Report("What Max's home does")`,
	"Doctor":        `lab.Show(s.Doctor())`,
	"Status":        `lab.Status()`,
	"Share":         `lab.Share()                                 // one engine for several notebooks`,
	"Stop":          `lab.Stop()`,
	"Done":          `lab.Done()`,
	"Accuracy":      `lab.Show(s.Accuracy())`,
	"BuildFeatures": `lab.Show(s.BuildFeatures(lab.FeatureOptions{Tokens: 20000, Out: "out/lab/features"})) // of your Texts`,
	"Caption":       `lab.Say("%s", g.Prune().Caption())          // the graph in words`,
	"Decode":        `fmt.Println(s.Decode(s.Tokens(" 3 plus 5 is").IDs))`,
	"Decoder":       `d := s.Decoder(0, 17).Row(0)                // what a feature writes to a layer`,
	"Encoder":       `w := s.Encoder(0, 17)                       // what a feature reads`,
	"Export":        `g.Prune().Export("out/graph.html")          // one page, no network`,
	"Faithfulness":  `lab.Show(s.Faithfulness(" The capital of France is")) // do its graphs tell the truth?`,
	"Flow":          `lab.Show(g.Flow())                          // the graph by layer`,
	"Freeze":        `lab.Show(s.Intervene(" The capital of France is", lab.Ablate(g.Reading(" France", 4)), lab.WithMode("iterative"), lab.Freeze("attention"), lab.Draws(5)))  // also Layers, Track, Keep, ReadOut`,
	"Groups":        `lab.Show(g.Prune().Groups())                // supernodes; Pin, Group, Named set them`,
	"GPT2":          `if s, ok := lab.GPT2(); ok { lab.Show(s.Model()) } // where its weights are`,
	"Prompts":       `fmt.Println(s.Prompts()[0].Text)            // of the pocket world`,
	"Proven":        `g.Proven()                                  // each row adds up, or the cell ends`,
	"Reading":       `fmt.Println(g.Reading(" France", 8))        // the features through which a token acts; also At, Kind`,
	"Reconstruct":   `lab.Show(s.Reconstruct(" The capital of France is")) // what the features miss`,
	"RunReplaced":   `x := s.RunReplaced(" The capital of France is").Top[0] // every MLP replaced`,
	"Scale":         `e := lab.Scale(g.Reading(" France", 8), -1) // also Ablate, SetTo, TakeFrom, AddTo, AddVector`,
	"With":          `lab.Show(s.With("pocket-per-layer").Model()) // another transcoder`,
	"Exercises":     `lab.Exercises()                             // which are solved`,
}

// Help lists the verbs, or says what some of them do, with an example.
func Help(names ...string) {
	if len(names) == 0 {
		var rows [][]string
		for _, name := range slices.Sorted(maps.Keys(verbs)) {
			line, _, _ := strings.Cut(verbs[name], "  //")
			rows = append(rows, []string{name, strings.TrimSpace(line)})
		}
		Show(viz.Table("Verbs; lab.Help(\"Graph\") tells more about one", []string{"verb", "example"}, rows))
		return
	}
	for _, name := range names {
		example, ok := verbs[name]
		if !ok {
			fail("help", fmt.Errorf("lab: there is no verb %q; lab.Help() lists all", name))
			return
		}
		text := documentation(name) + "\n\nExample:\n    " + example
		Show(viz.Output{HTML: "<pre>" + html.EscapeString(text) + "</pre>", Markdown: "```\n" + text + "\n```", Plain: text, Kind: "help"})
	}
}

// documentation asks go doc, so that it can never be stale.
func documentation(name string) string {
	root, err := findRoot()
	if err != nil {
		return name
	}
	var texts []string
	for _, symbol := range []string{"Session." + name, name, "Graph." + name} {
		cmd := exec.Command("go", "doc", "./notebooks/lab", symbol)
		cmd.Dir = root
		out, err := cmd.Output()
		if err != nil {
			continue
		}
		_, text, _ := strings.Cut(string(out), "\n\n") // the line that names the package
		texts = append(texts, strings.TrimSpace(text))
	}
	return strings.Join(texts, "\n\n")
}
