package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/etredal/cross-layer-transcoder/internal/nearest"
)

func verbNames() []string {
	var names []string
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	return names
}

// usage lists the verbs.
func usage() string {
	var b strings.Builder
	b.WriteString("clt trains cross-layer transcoders on GPT-2 and traces its circuits.\n\nusage: clt VERB [flags] [arguments]\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(&b, "  %-12s %s\n", v.name, v.brief)
	}
	b.WriteString("\nclt VERB -h lists the flags of a verb. Try: clt attribute -prompt \" The capital of France is\" -o graph.safetensors\n")
	return b.String()
}

// help answers `clt help` and `clt help VERB`.
func help(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stdout, usage())
		return 0
	}
	for _, v := range verbs() {
		if v.name == args[0] {
			f := flag.NewFlagSet(v.name, flag.ContinueOnError)
			v.setup(f)
			fmt.Fprint(stdout, v.help(f))
			return 0
		}
	}
	fmt.Fprintf(stderr, "clt help: %q is not a verb%s; clt help lists them\n", args[0], nearest.DidYouMean(args[0], verbNames()))
	return statusUsage
}

// help is the usage line of a verb and its flags with their defaults.
func (v verb) help(f *flag.FlagSet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "clt %s: %s\n\nusage: clt %s [flags]", v.name, v.brief, v.name)
	if v.args != "" {
		b.WriteString(" " + v.args)
	}
	b.WriteString("\n\n")
	f.SetOutput(&b)
	f.PrintDefaults()
	f.SetOutput(io.Discard)
	return b.String()
}
