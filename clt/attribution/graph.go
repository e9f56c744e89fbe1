package attribution

// Matrix is a dense square matrix [node, node], row = target, column = source,
// row-major. Exactly one of F32 and F64 is set.
type Matrix struct {
	N   int
	F32 []float32
	F64 []float64
}

// At returns the entry of one target and source.
func (m Matrix) At(target, source int) float64 {
	if m.F64 != nil {
		return m.F64[target*m.N+source]
	}
	return float64(m.F32[target*m.N+source])
}

// Set stores an entry.
func (m Matrix) Set(target, source int, w float64) {
	if m.F64 != nil {
		m.F64[target*m.N+source] = w
		return
	}
	m.F32[target*m.N+source] = float32(w)
}

// NewMatrix returns a zero matrix in float32, or in float64 if double is set.
func NewMatrix(n int, double bool) Matrix {
	if double {
		return Matrix{N: n, F64: make([]float64, n*n)}
	}
	return Matrix{N: n, F32: make([]float32, n*n)}
}

// Artifact names a model or a transcoder and pins its bytes.
type Artifact struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256,omitempty"`
}

// Settings records how a graph was made; every field is written to the file.
type Settings struct {
	MaxLogits   int     `json:"max_logits,omitempty"`   // most default targets
	LogitProb   float64 `json:"logit_prob,omitempty"`   // probability mass of the default targets, 0-1
	MaxFeatures int     `json:"max_features,omitempty"` // cap on features, 0 for none
	Active      int     `json:"active_features"`        // active features before the cap
	Batch       int     `json:"batch,omitempty"`        // targets per backward sweep
	DType       string  `json:"dtype"`                  // "f32" or "f64"
	Backend     string  `json:"backend,omitempty"`
	Read        string  `json:"read,omitempty"`   // encoder read point
	Compat      string  `json:"compat,omitempty"` // "" or "circuit-tracer"
	Layers      int     `json:"layers"`           // layers of the model
	Pruned      bool    `json:"pruned,omitempty"` // at thresholds of 0, which do not show that nodes and edges were dropped
	NodeCut     float64 `json:"node_threshold,omitempty"`
	EdgeCut     float64 `json:"edge_threshold,omitempty"`
	Folded      bool    `json:"folded,omitempty"` // pruned weights were added to error nodes, so rows still sum
	// RowIdentity is the largest |row sum - target value| / max(1, |value|) over
	// all targets: the proof of the graph as it was made, before edges were dropped.
	// Negative when it cannot be had (no bias node).
	RowIdentity float64 `json:"row_identity_max_error"`
}

// Graph is the attribution graph of one prompt. Weights holds, for each target
// (row), the effect of each source (column) on it: activation times the exact
// derivative in the local replacement model. Nodes are ordered: features by
// (layer, pos, index), errors by (layer, pos), tokens, positions, bias, logits
// by descending probability. Pruning returns the same type, smaller.
type Graph struct {
	Nodes    []Node
	Weights  Matrix
	Prompt   string
	Tokens   []string // one string a token, the prepended one included
	IDs      []int32
	Model    Artifact
	CLT      Artifact
	Settings Settings
}

// cut notes that nodes and edges were dropped.
func (s *Settings) cut(node, edge float64) {
	s.NodeCut, s.EdgeCut, s.Pruned = node, edge, node == 0 && edge == 0
}

// Cut says whether nodes and edges have been dropped: by Prune, or by the program that
// wrote the graph.
func (g *Graph) Cut() bool {
	return g.Settings.Pruned || g.Settings.NodeCut > 0 || g.Settings.EdgeCut > 0
}

// Weight is the edge from source to target: how much of the target's value
// comes from the source.
func (g *Graph) Weight(target, source int) float64 { return g.Weights.At(target, source) }
