package attribution

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Kind says what a node stands for.
type Kind uint8

// The node kinds, in the order in which a graph stores them.
const (
	Feature  Kind = iota // an active feature of the transcoder at one position
	Error                // what the transcoder misses of one layer's MLP output at one position
	Token                // a token's embedding
	Position             // a position's embedding
	Bias                 // all constant terms of the frozen model together
	Logit                // a target: a centred logit, or another direction at the output
)

var kindNames = [...]string{"feature", "error", "token", "position", "bias", "logit"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// MarshalText and UnmarshalText make JSON say "feature" and not 0.
func (k Kind) MarshalText() ([]byte, error) {
	if int(k) >= len(kindNames) {
		return nil, fmt.Errorf("attribution: node kind %d is unknown", uint8(k))
	}
	return []byte(kindNames[k]), nil
}

// UnmarshalText reads the name of a kind.
func (k *Kind) UnmarshalText(text []byte) error {
	at := slices.Index(kindNames[:], string(text))
	if at < 0 {
		return fmt.Errorf("attribution: node kind %q is unknown; kinds are %s", text, strings.Join(kindNames[:], ", "))
	}
	*k = Kind(at)
	return nil
}

// ID is the identity of a node. Fields that a kind does not use are zero:
// Error has Layer and Pos; Token has Pos and Index (the token id); Position has
// Pos; Bias has none; Logit has Pos and Index (the token id, or d_vocab + n for
// the n-th target that is no single token) and Layer = the number of layers.
type ID struct {
	Kind  Kind `json:"kind"`
	Layer int  `json:"layer"`
	Pos   int  `json:"pos"`
	Index int  `json:"index"`
}

// String is a unique name: "f3/17@5", "e3@5", "t464@0", "p5", "bias", "l290@7".
func (id ID) String() string {
	switch id.Kind {
	case Feature:
		return fmt.Sprintf("f%d/%d@%d", id.Layer, id.Index, id.Pos)
	case Error:
		return fmt.Sprintf("e%d@%d", id.Layer, id.Pos)
	case Token:
		return fmt.Sprintf("t%d@%d", id.Index, id.Pos)
	case Position:
		return fmt.Sprintf("p%d", id.Pos)
	case Bias:
		return "bias"
	default:
		return fmt.Sprintf("l%d@%d", id.Index, id.Pos)
	}
}

// Node is one node of an attribution graph.
type Node struct {
	ID
	Activation    float64 `json:"activation,omitempty"`           // features: activation on this prompt; otherwise 0
	Preactivation float64 `json:"preactivation,omitempty"`        // features: pre-activation; logits: logit minus mean logit; otherwise 0
	Prob          float64 `json:"prob,omitempty"`                 // logits: probability, the weight of the target; otherwise 0
	Cumulative    float64 `json:"cumulative_influence,omitempty"` // share of all influence gathered when pruning, by rank, reaches this node: 0-1, small is important; 0 if never ranked
	Label         string  `json:"label,omitempty"`                // logits: the target's text; features: a label, if one is known
}

// IsTarget says whether a node of this kind has incoming edges: only features
// and logits do, all other rows of the weights are empty.
func (k Kind) IsTarget() bool { return k == Feature || k == Logit }

// IsInput says whether a node of this kind is part of the prompt: what the
// replacement score counts as explained. The bias is no input and no error.
func (k Kind) IsInput() bool { return k == Token || k == Position }

// onlyUsed clears the fields that the kind does not use, whatever another
// program wrote there.
func (id ID) onlyUsed() ID {
	switch id.Kind {
	case Error:
		id.Index = 0
	case Token:
		id.Layer = 0
	case Position:
		id.Layer, id.Index = 0, 0
	case Bias:
		id.Layer, id.Pos, id.Index = 0, 0, 0
	}
	return id
}

// compareIDs gives the storage order of two nodes of equal probability:
// kind first, then layer, position and index.
func compareIDs(a, b ID) int {
	return cmp.Or(
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Layer, b.Layer),
		cmp.Compare(a.Pos, b.Pos),
		cmp.Compare(a.Index, b.Index))
}
