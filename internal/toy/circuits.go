package toy

import (
	"math"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Circuit is one row of the table: a hand-wired model on a prompt, and its whole
// attribution graph. Nodes are written as attribution.ID writes them: "f0/1@2" is
// feature 1 of layer 0 at position 2, "t3@1" token 3 at position 1, "l6@2" the
// logit of token 6.
type Circuit struct {
	Name     string
	Reason   string // why these nodes and edges, and nothing else
	Config   gpt2.Config
	Params   gpt2.Params
	CLT      *clt.Transcoder
	Prompt   []int32
	Target   int32    // the token whose logit is explained
	Features []Active // all active features, in the order of the graph
	Edges    []Edge   // all edges that are not zero, the bias among them
	Heads    []Head   // where attention is crossed: which head carries which edge
}

// Active is a feature that is active on the prompt.
type Active struct {
	Layer, Pos, Index int
	Value             float64
}

// Edge is one edge of the graph.
type Edge struct {
	Source, Target string
	Weight         float64
}

// Head is the part of an edge that goes through one head.
type Head struct {
	Edge
	Layer, Head int
}

// vocabulary of most rows: 0 is <|endoftext|>, the last is what the circuit says.
const words = 7

// centred is the share of an unembedding that stays when the mean over a
// vocabulary, in which one token has it, is taken away.
const centred = 1 - 1.0/words

// Circuits is the table.
func Circuits() []Circuit {
	return []Circuit{
		and("and of 1 and 1", true), and("and of 1 and 0", false),
		xor("xor of 1 and 1", true), xor("xor of 1 and 0", false),
		twoHops(), copyHead(), twoSteps("two steps", false), twoSteps("two steps, skipped", true),
	}
}

// tokens of the logical circuits: a0, a1 stand at position 1, b0, b1 at position 2.
const (
	tokA0 = iota + 1
	tokA1
	tokB0
	tokB1
	_
	tokYes
)

// and has one neuron that fires when the token at position 1 is a1 and the one at
// position 2 is b1. Every embedding has Σc² = 1, so with 8 directions and eps 7/8
// the first LayerNorm divides by 1. Head 0 attends evenly, to each of 3 positions
// with 1/3, and triples what it copies: ±1 arrives. The stream at position 2 is
// then two coefficients of size 1, and ln_2 divides by sqrt(2/8 + 7/8) = sqrt(9/8).
func and(name string, both bool) Circuit {
	const a, copied, b, said, start direction = 0, 1, 2, 3, 4
	w := newWiring(1, 8, 2, words, 7.0/8)
	for id, c := range []read{{start: 1}, {a: -1}, {a: 1}, {b: -1}, {b: 1}} {
		w.token(id, c)
	}
	w.move(0, 0, a, copied, 3)
	w.neuron(0, 0, read{copied: 32, b: 64}, -64, read{said: 1.0 / 32})
	w.unembed(tokYes, said, 4)
	c := Circuit{Name: name, Config: w.cfg, Params: w.p, CLT: Compile(w.cfg, w.p), Prompt: []int32{0, tokA1, tokB0}, Target: tokYes,
		Reason: "one of two is missing: 32 - 64 stays below 64, nothing is active and nothing says yes"}
	if !both {
		return c
	}
	scale := math.Sqrt(9.0 / 8)
	value := (32+64)/scale - 64
	out := value / 32
	last := math.Sqrt((2+out*out)/8 + 7.0/8)
	c.Prompt = []int32{0, tokA1, tokB1}
	c.Reason = "both tokens together pass the threshold of the one feature, which says yes; no token says anything itself"
	c.Features = []Active{{0, 2, 0, value}}
	c.Edges = []Edge{{"t2@1", "f0/0@2", 32 / scale}, {"t4@2", "f0/0@2", 64 / scale}, {"bias", "f0/0@2", -64},
		{"f0/0@2", "l6@2", out * 4 * centred / last}}
	c.Heads = []Head{{c.Edges[0], 0, 0}}
	return c
}

// xor has a neuron for "or" and one for "and", which takes away what "or" said
// when both are 1. Every embedding has Σc² = 2 (a marker says which word it is),
// so eps is 6/8; at position 2 the stream has three coefficients of size 1.
func xor(name string, both bool) Circuit {
	const a, copied, b, said, first, second, start, start2 direction = 0, 1, 2, 3, 4, 5, 6, 7
	w := newWiring(1, 8, 2, words, 6.0/8)
	for id, c := range []read{{start: 1, start2: 1}, {a: -1, first: 1}, {a: 1, first: 1}, {b: -1, second: 1}, {b: 1, second: 1}} {
		w.token(id, c)
	}
	w.move(0, 1, a, copied, 3)
	in := read{copied: 64, b: 64, second: 256}
	w.neuron(0, 0, in, -192, read{said: 1.0 / 64})
	w.neuron(0, 1, in, -304, read{said: -3.0 / 64})
	w.unembed(tokYes, said, 4)
	scale := math.Sqrt(9.0 / 8)
	c := Circuit{Name: name, Config: w.cfg, Params: w.p, CLT: Compile(w.cfg, w.p), Target: tokYes}
	logit := func(value, write, said float64) float64 {
		return value * write * 4 * centred / math.Sqrt((3+said*said)/8+6.0/8)
	}
	or := []Edge{{"t2@1", "f0/0@2", 64 / scale}, {"bias", "f0/0@2", -192}}
	if !both {
		value := 256/scale - 192 // a1 and b0 add 64 and take it away
		c.Prompt = []int32{0, tokA1, tokB0}
		c.Reason = "a1 and b0 cancel, their marker alone passes the threshold of or; and stays off"
		c.Features = []Active{{0, 2, 0, value}}
		c.Edges = append(or, Edge{"t3@2", "f0/0@2", (256 - 64) / scale}, Edge{"f0/0@2", "l6@2", logit(value, 1.0/64, value/64)})
		c.Heads = []Head{{or[0], 0, 1}}
		return c
	}
	vOr, vAnd := (64+64+256)/scale-192, (64+64+256)/scale-304
	sum := (vOr - 3*vAnd) / 64
	c.Prompt = []int32{0, tokA1, tokB1}
	c.Reason = "both features are active; and inhibits what or promotes, so that almost nothing is said"
	c.Features = []Active{{0, 2, 0, vOr}, {0, 2, 1, vAnd}}
	c.Edges = append(or, Edge{"t4@2", "f0/0@2", (64 + 256) / scale}, Edge{"t2@1", "f0/1@2", 64 / scale},
		Edge{"t4@2", "f0/1@2", (64 + 256) / scale}, Edge{"bias", "f0/1@2", -304},
		Edge{"f0/0@2", "l6@2", logit(vOr, 1.0/64, sum)}, Edge{"f0/1@2", "l6@2", logit(vAnd, -3.0/64, sum)})
	c.Heads = []Head{{or[0], 0, 1}, {Edge{"t2@1", "f0/1@2", 64 / scale}, 0, 1}}
	return c
}

// twoHops is "the capital of the state with this city": a feature of layer 0 knows
// the city's state; head 1 of layer 1 brings the state to the last position, where
// a feature of layer 1 joins it with the word that asks for a capital.
func twoHops() Circuit {
	const city, state, brought, asks, said, start direction = 0, 1, 2, 3, 4, 5
	const tokCity, tokAsks, tokCapital = 1, 2, 6
	w := newWiring(2, 8, 2, words, 7.0/8)
	for id, c := range []read{{start: 1}, {city: 1}, {asks: 1}} {
		w.token(id, c)
	}
	w.neuron(0, 0, read{city: 64}, -32, read{state: 1.0 / 32})
	w.move(1, 1, state, brought, 3)
	w.neuron(1, 1, read{brought: 64, asks: 64}, -96, read{said: 1.0 / 16})
	w.unembed(tokCapital, said, 4)
	const knows = 64 - 32                     // the stream of the city is one coefficient: ln_2 divides by 1
	arrives := 3.0 / 3 / math.Sqrt(9.0/8)     // city and state: ln_1 of layer 1 divides by sqrt(2/8 + 7/8)
	scale := math.Sqrt((1+8.0/9)/8 + 7.0/8)   // asks, and what arrives: sqrt(8/9) of it
	value := 64*arrives/scale + 64/scale - 96 // of the feature that joins them
	out := value / 16                         // what it says
	last := math.Sqrt((1+8.0/9+out*out)/8 + 7.0/8)
	c := Circuit{Name: "two hops", Config: w.cfg, Params: w.p, CLT: Compile(w.cfg, w.p), Prompt: []int32{0, tokCity, tokAsks}, Target: tokCapital,
		Reason: "city to state in layer 0, state and question to capital in layer 1; the state reaches the question through one head"}
	c.Features = []Active{{0, 1, 0, knows}, {1, 2, 1, value}}
	c.Edges = []Edge{{"t1@1", "f0/0@1", 64}, {"bias", "f0/0@1", -32},
		{"f0/0@1", "f1/1@2", 64 * arrives / scale}, {"t2@2", "f1/1@2", 64 / scale}, {"bias", "f1/1@2", -96},
		{"f1/1@2", "l6@2", out * 4 * centred / last}}
	c.Heads = []Head{{c.Edges[2], 1, 1}}
	return c
}

// CopyScore is the copying head's score at the only key that it looks for.
const CopyScore = 4

// copyHead has no features: head 0 looks for the noun and copies it to the output,
// head 1 attends evenly and copies it too.
func copyHead() Circuit {
	const noun, again, said, start direction = 0, 1, 2, 3
	const tokNoun, tokAgain, tokSaid = 1, 2, 6
	w := newWiring(1, 8, 2, words, 7.0/8)
	for id, c := range []read{{start: 1}, {noun: 1}, {again: 1}} {
		w.token(id, c)
	}
	w.attend(0, 0, again, noun, CopyScore*math.Sqrt(8), 1)
	w.move(0, 0, noun, said, 1)
	w.move(0, 1, noun, said, 1.5)
	w.unembed(tokSaid, said, 4)
	looks := math.Exp(CopyScore) / (math.Exp(CopyScore) + 2)
	out := looks + 1.5/3
	last := math.Sqrt((1+out*out)/8 + 7.0/8)
	c := Circuit{Name: "copy head", Config: w.cfg, Params: w.p, CLT: Compile(w.cfg, w.p), Prompt: []int32{0, tokNoun, tokAgain}, Target: tokSaid,
		Reason: "the answer is copied by attention alone: one edge from the noun, split between two heads"}
	edge := func(part float64) Edge { return Edge{"t1@1", "l6@2", part * 4 * centred / last} }
	c.Edges = []Edge{edge(out)}
	c.Heads = []Head{{edge(looks), 0, 0}, {edge(1.5 / 3), 0, 1}}
	return c
}

// twoSteps goes from token to logit over a neuron in each of two layers. A
// transcoder may also write what both layers write from one feature of layer 0:
// it decodes as exactly, and its graph lacks the middle step (method: 12.5).
func twoSteps(name string, skipped bool) Circuit {
	const in, middle, said, start direction = 0, 1, 2, 3
	w := newWiring(2, 4, 2, words, 3.0/4)
	w.token(0, read{start: 1})
	w.token(1, read{in: 1})
	w.neuron(0, 0, read{in: 64}, -32, read{middle: 1.5 / 32})
	w.neuron(1, 0, read{middle: 80}, -32, read{said: 1.0 / 64})
	w.unembed(6, said, 4)
	// ln_2 divides by 1 in layer 0, by sqrt((1 + 1.5²)/4 + 3/4) = 1.25 in layer 1;
	// the neurons are 64 - 32 and 80·1.5/1.25 - 32 = 64.
	last := math.Sqrt((1+1.5*1.5+1)/4 + 3.0/4)
	c := Circuit{Name: name, Config: w.cfg, Params: w.p, CLT: Compile(w.cfg, w.p), Prompt: []int32{0, 1}, Target: 6}
	c.Edges = []Edge{{"t1@1", "f0/0@1", 64}, {"bias", "f0/0@1", -32}}
	if skipped {
		c.Reason = "one feature decodes both layers exactly and hides the middle step: zero error does not make a graph faithful"
		c.CLT.WDec[0][8+2*said], c.CLT.WDec[0][8+2*said+1] = 1.0/32, -1.0/32 // feature 0, second target
		for i := range c.CLT.WEnc[1] {
			c.CLT.WEnc[1][i] = 0
		}
		c.CLT.BEnc[1] = []float32{-64, -64}
		c.Features = []Active{{0, 1, 0, 32}}
		c.Edges = append(c.Edges, Edge{"f0/0@1", "l6@1", 4 * centred / last})
		return c
	}
	c.Reason = "each layer's feature is seen: token to middle, middle to what is said"
	c.Features = []Active{{0, 1, 0, 32}, {1, 1, 0, 64}}
	c.Edges = append(c.Edges, Edge{"f0/0@1", "f1/0@1", 80 * 1.5 / 1.25}, Edge{"bias", "f1/0@1", -32}, Edge{"f1/0@1", "l6@1", 4 * centred / last})
	return c
}
