// Command clt is the command line of the project: train transcoders, attribute
// prompts, prune, score, intervene, draw. `clt help` lists the verbs, `clt VERB
// -h` the flags of one. Every verb calls internal/engine in this process.
//
// Results go to stdout or to -o files, which are written whole or not at all;
// progress and remarks go to stderr. Exit status: 0 done, 1 the work failed, 2
// the call was wrong, 130 interrupted.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/etredal/cross-layer-transcoder/internal/nearest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // the second interrupt ends at once
	}()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// verb is one subcommand. setup declares its flags and returns what runs when
// they have been parsed.
type verb struct {
	name, args, brief string
	setup             func(f *flag.FlagSet) func(c *call) error
}

// verbs lists the subcommands in the order of `clt help`.
func verbs() []verb {
	return []verb{
		{"doctor", "", "what this machine has, and how to get what is missing", doctorVerb},
		{"fetch", "NAME", "download a model or a transcoder from the hub, checked", fetchVerb},
		{"tokenize", "TEXT...", "text to token ids and back", tokenizeVerb},
		{"run", "", "run the model on a prompt; save activations", runVerb},
		{"generate", "", "continue a prompt, also under edits or with the replacement model", generateVerb},
		{"train-lm", "[FILE...]", "train a GPT-2 on texts or on the pocket world", trainLMVerb},
		{"train", "[FILE...]", "train a transcoder", trainVerb},
		{"sweep", "[FILE...]", "train one transcoder for each of several -lambdas or -ks, with a Pareto plot", sweepVerb},
		{"eval", "[FILE...]", "measure a transcoder on texts", evalVerb},
		{"calibrate", "[FILE...]", "turn a transcoder into a jumprelu with a given number of active features", calibrateVerb},
		{"encode", "", "active features of a prompt", encodeVerb},
		{"attribute", "", "attribution graph of a prompt", attributeVerb},
		{"prune", "GRAPH", "the part of a graph that matters", pruneVerb},
		{"score", "GRAPH", "how much a graph explains", scoreVerb},
		{"intervene", "", "edit features and see what changes", interveneVerb},
		{"whatif", "", "predict from the graph what edits will do, then compare", whatIfVerb},
		{"faithfulness", "[FILE...]", "do graphs tell the truth about the model? over many prompts", faithfulnessVerb},
		{"qk", "", "what an attention score is made of", qkVerb},
		{"weights", "L/F [FILE...]", "a feature's virtual weights, which no prompt changes", weightsVerb},
		{"features", "build|show|search|label", "what features mean: a store of examples, logits and labels", featuresVerb},
		{"show", "GRAPH", "a graph in words, or as picture and page", showVerb},
		{"export", "GRAPH", "a graph as picture or page", exportVerb},
		{"diff", "GRAPH GRAPH", "what two graphs have in common and not", diffVerb},
		{"convert", "SRC DST", "a transcoder of another project to the layout that all verbs share", convertVerb},
		{"validate", "FILE...", "check graphs, transcoder folders, notebooks", validateVerb},
		{"report", "NOTEBOOK|GRAPH", "one self-contained HTML page", reportVerb},
		{"nb", "run|clean|check|make NOTEBOOK...", "execute, clean or check notebooks", nbVerb},
		{"practice", "[FILE...]", "the practice run: train, measure, draw, compare", practiceVerb},
		{"bench", "[SUITE...]", "time the main work against the GEMM peak of this machine", benchVerb},
		{"engine", "", "serve notebooks on a socket; they start it themselves", engineVerb},
	}
}

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage())
		return statusUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return help(args[1:], stdout, stderr)
	}
	for _, v := range verbs() {
		if v.name == args[0] {
			return v.run(ctx, args[1:], stdin, stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "clt: %q is not a verb%s; clt help lists them\n", args[0], nearest.DidYouMean(args[0], verbNames()))
	return statusUsage
}

func (v verb) run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	f := flag.NewFlagSet(v.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	c := &call{ctx: ctx, verb: v.name, in: stdin, out: bufio.NewWriterSize(stdout, 1<<16), stdout: stdout, err: stderr, given: map[string]bool{}}
	defer func() {
		if p := recover(); p != nil {
			status = c.fault(p)
		}
	}()
	work := v.setup(f)
	rest, err := parseInterleaved(f, args)
	switch {
	case err == flag.ErrHelp:
		fmt.Fprint(stdout, v.help(f))
		return 0
	case err != nil:
		return c.finish(flagError(f, err))
	}
	c.args = rest
	f.Visit(func(x *flag.Flag) { c.given[x.Name] = true })
	if v.args == "" && len(rest) > 0 {
		return c.finish(badCall("%q is not expected", rest[0]))
	}
	return c.finish(work(c))
}

// fault is a panic turned into one line; CLT_DEBUG shows where it was.
func (c *call) fault(p any) int {
	if os.Getenv("CLT_DEBUG") != "" {
		fmt.Fprintf(c.err, "%s", debug.Stack())
	}
	return c.finish(fmt.Errorf("fault in the program: %v; please report it, with what CLT_DEBUG=1 shows", p))
}

// parseInterleaved parses flags that may stand before, between and after other
// arguments, which it returns. After "--" nothing is a flag.
func parseInterleaved(f *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		used := len(args) - f.NArg()
		if used > 0 && args[used-1] == "--" {
			return append(rest, f.Args()...), nil
		}
		if f.NArg() == 0 {
			return rest, nil
		}
		rest = append(rest, f.Arg(0))
		args = f.Args()[1:]
	}
}

// flagError says what is wrong with a flag and names a near one.
func flagError(f *flag.FlagSet, err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		var names []string
		f.VisitAll(func(x *flag.Flag) { names = append(names, x.Name) })
		return badCall("no flag -%s%s", name, nearest.DidYouMean(name, names))
	}
	return badCall("%s", text)
}
