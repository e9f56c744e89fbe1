package wire

// FaithfulnessRequest asks over many prompts whether graphs tell the truth about the
// model. Without texts the prompts are demonstrations of the pocket world.
type FaithfulnessRequest struct {
	Setup
	Prompts  []Prompt `json:"prompts,omitempty"`
	Texts    []string `json:"texts,omitempty"`    // prompts are the beginnings of held-out windows
	N        int      `json:"n,omitempty"`        // prompts of the world or of texts; 0 for 20
	Features int      `json:"features,omitempty"` // taken out on each prompt; 0 for 64, negative for all
	Draws    int      `json:"draws,omitempty"`    // perturbations of each kind and layer; 0 for 2
	Size     float64  `json:"size,omitempty"`     // norm of a perturbation over the stream's; 0 for 0.1
	Seed     uint64   `json:"seed,omitempty"`
	Out      string   `json:"out,omitempty"`    // file that holds the answer, written after every prompt
	Resume   bool     `json:"resume,omitempty"` // go on with the prompts that Out lacks
}

// FaithfulnessResponse sums up all prompts and holds each.
type FaithfulnessResponse struct {
	Warned
	Model      string           `json:"model"`
	CLT        string           `json:"clt"`
	CLTSHA256  string           `json:"clt_sha256"`
	Settings   FaithfulSettings `json:"settings"`
	Complete   bool             `json:"complete"`
	Predictors []Predictor      `json:"predictors"`
	Feature    Predictor        `json:"feature_to_feature"`
	Ranges     []RangeEffect    `json:"ranges"`
	Depths     []DepthAgreement `json:"depths"`
	Prompts    []FaithfulPrompt `json:"prompts"`
}

// FaithfulSettings are what a resumed run must share with its beginning.
type FaithfulSettings struct {
	Features int     `json:"features"` // 0 for all
	Draws    int     `json:"draws"`
	Size     float64 `json:"size"`
	Seed     uint64  `json:"seed"`
	Backend  string  `json:"backend"`
	DType    string  `json:"dtype"`
}

// Predictor says how well a number that needs no intervention predicts what one
// does: means over prompts.
type Predictor struct {
	Name       string  `json:"name"` // influence, direct edge, activation
	Spearman   float64 `json:"spearman"`
	LogPearson float64 `json:"log_pearson"` // of the logarithms
	Pairs      int     `json:"pairs"`
	Prompts    int     `json:"prompts"`
}

// RangeEffect is constrained patching that ends so many layers behind the feature's
// own.
type RangeEffect struct {
	Beyond    int     `json:"beyond"`
	Features  int     `json:"features"`
	KL        float64 `json:"kl"`        // mean, nats
	Logit     float64 `json:"logit_abs"` // mean |change| of the likeliest token's centred logit
	Strongest float64 `json:"strongest"` // fraction of the features for which this range does most
	Spearman  float64 `json:"spearman"`  // of influence and KL, over all features
}

// DepthAgreement is how the local replacement model answers a push so many layers
// on, against the model: medians, since an error has no bound.
type DepthAgreement struct {
	Kind       string  `json:"kind"`
	Depth      int     `json:"depth"`
	N          int     `json:"n"`
	Cosine     float64 `json:"cosine"`
	NMSE       float64 `json:"nmse"`
	StreamCos  float64 `json:"stream_cosine"`
	StreamNMSE float64 `json:"stream_nmse"`
}

// FaithfulPrompt is one prompt.
type FaithfulPrompt struct {
	TokensResponse
	Ablations []Ablation   `json:"ablations"`
	Pairs     int          `json:"pairs"`
	Spearman  float64      `json:"spearman"` // influence on a feature against |Δa|/a
	Agree     []PushAnswer `json:"agree"`
}

// Ablation is one feature taken out; KL and Logit are by the last layer of the range,
// from the feature's own on.
type Ablation struct {
	Layer      int       `json:"layer"`
	Pos        int       `json:"pos"`
	Index      int       `json:"index"`
	Influence  float64   `json:"influence"`
	Direct     float64   `json:"direct"`
	Activation float64   `json:"activation"`
	KL         []float64 `json:"kl"`
	Logit      []float64 `json:"logit"`
}

// PushAnswer is one vector pushed into the model and its local replacement.
type PushAnswer struct {
	Kind       string  `json:"kind"` // encoder, feature, random
	Layer      int     `json:"layer"`
	Depth      int     `json:"depth"`
	Cosine     float64 `json:"cosine"`
	NMSE       float64 `json:"nmse"`
	StreamCos  float64 `json:"stream_cosine"`
	StreamNMSE float64 `json:"stream_nmse"`
}
