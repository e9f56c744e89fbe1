package wire

// Node names a node of a graph for people: Token is the text at its position.
type Node struct {
	ID    string `json:"id"` // "f3/17@5", "e3@5", "t464@0", "p5", "bias", "l290@7"
	Kind  string `json:"kind"`
	Layer int    `json:"layer"`
	Pos   int    `json:"pos"`
	Index int    `json:"index"`
	Token string `json:"token,omitempty"`
}

// HeadsRequest asks through which heads the edges into targets come.
type HeadsRequest struct {
	Setup
	Prompt
	Targets   []string `json:"targets,omitempty"` // as in AttributeRequest
	MaxLogits int      `json:"max_logits,omitempty"`
	LogitProb float64  `json:"logit_prob,omitempty"`
	Top       int      `json:"top,omitempty"` // edges of each target; 0 for 10
}

// HeadShare is what arrives through one head: of one edge, or of all edges into a
// target. Layer and Head are -1 for what never crosses attention.
type HeadShare struct {
	Layer  int     `json:"layer"`
	Head   int     `json:"head"`
	Weight float64 `json:"weight"`
	Abs    float64 `json:"abs,omitempty"` // of all edges: the sum of absolute parts
}

// HeadEdge is one edge and its parts, which add up to it.
type HeadEdge struct {
	Source Node        `json:"source"`
	Weight float64     `json:"weight"`
	Parts  []HeadShare `json:"parts"` // strongest first, without zeros
}

// HeadTarget is one target: its strongest edges, and all edges by head.
type HeadTarget struct {
	Target Node        `json:"target"`
	Label  string      `json:"label"`
	Edges  []HeadEdge  `json:"edges"`
	Heads  []HeadShare `json:"heads"` // by absolute parts, strongest first
}

// HeadsResponse answers HeadsRequest. A path counts at the attention hop that is
// nearest to the target.
type HeadsResponse struct {
	TokensResponse
	Warned
	Targets []HeadTarget `json:"targets"`
}

// QKRequest attributes one attention score to pairs of sources.
type QKRequest struct {
	Setup
	Prompt
	Layer int  `json:"layer"`
	Head  int  `json:"head"`
	Query *int `json:"query,omitempty"` // position; negative from the end; none for the last
	Key   *int `json:"key,omitempty"`   // none for the one that gets the most attention
	Top   int  `json:"top,omitempty"`   // pairs; 0 for 20
}

// QKPair is what one query-side and one key-side source give together.
type QKPair struct {
	Query  Node    `json:"query"`
	Key    Node    `json:"key"`
	Weight float64 `json:"weight"`
}

// QKSide is what one source gives with everything on the other side.
type QKSide struct {
	Source Node    `json:"source"`
	Weight float64 `json:"weight"`
}

// QKKinds is the sum over all pairs of two kinds of source.
type QKKinds struct {
	Query  string  `json:"query"`
	Key    string  `json:"key"`
	Weight float64 `json:"weight"`
}

// QKResponse is an attention score before the softmax, and what it is made of.
type QKResponse struct {
	TokensResponse
	Warned
	Layer     int       `json:"layer"`
	Head      int       `json:"head"`
	Query     int       `json:"query"`
	Key       int       `json:"key"`
	Score     float64   `json:"score"`
	Sum       float64   `json:"sum"`     // of all pairs: the score once more
	Prob      float64   `json:"prob"`    // attention after the softmax
	Pattern   []float64 `json:"pattern"` // of the query, by key
	Pairs     []QKPair  `json:"pairs"`   // strongest first
	QuerySide []QKSide  `json:"query_side"`
	KeySide   []QKSide  `json:"key_side"`
	Kinds     []QKKinds `json:"kinds"`
}

// WeightsRequest asks for a feature's virtual weights, which no prompt changes.
type WeightsRequest struct {
	Setup
	Layer  int      `json:"layer"`
	Index  int      `json:"index"`
	World  bool     `json:"world,omitempty"` // weigh them by how features are active together in the pocket world
	Texts  []string `json:"texts,omitempty"` // or in texts
	Tokens int      `json:"tokens,omitempty"`
	Store  string   `json:"store,omitempty"` // or in a feature store: a folder, or "own" for that of the transcoder
	Top    int      `json:"top,omitempty"`   // of each list; 0 for all
}

// VirtualWeight is the weight between the feature and another one. Without texts
// ERA and TWERA are zero.
type VirtualWeight struct {
	Layer   int     `json:"layer"`
	Index   int     `json:"index"`
	Virtual float64 `json:"virtual"`
	ERA     float64 `json:"era"`
	TWERA   float64 `json:"twera"`
}

// TokenWeight is the weight between the feature and a token.
type TokenWeight struct {
	ID     int32   `json:"id"`
	Token  string  `json:"token"`
	Weight float64 `json:"weight"`
}

// WeightsResponse lists weights by size: of TWERA if there are statistics, of the
// virtual weight otherwise; tokens and logits by size of the weight.
type WeightsResponse struct {
	Warned
	Layer   int             `json:"layer"`
	Index   int             `json:"index"`
	Inputs  []VirtualWeight `json:"inputs"`  // features of earlier layers
	Outputs []VirtualWeight `json:"outputs"` // features of later layers
	Tokens  []TokenWeight   `json:"tokens"`  // token embeddings into the feature
	Logits  []TokenWeight   `json:"logits"`  // the feature into logits, relative to their mean
	Seen    int             `json:"tokens_seen"`
	Store   bool            `json:"store,omitempty"` // ERA and TWERA are of the feature's companions in a store, 0 for all others
}
