package wire

import "encoding/json"

// Setup names what a verb works on. Empty fields take the defaults: the pocket
// model, its transcoder, the backend that is chosen by itself, float32.
type Setup struct {
	Model   string `json:"model,omitempty"`   // "pocket", a directory, or a fetched name
	CLT     string `json:"clt,omitempty"`     // "pocket", "pocket-batchtopk", "pocket-per-layer", or a directory
	Backend string `json:"backend,omitempty"` // see internal/backend
	DType   string `json:"dtype,omitempty"`   // "f32", "f64", or "bf16" for running on XLA
}

// Prompt is text, or token ids used as they are.
type Prompt struct {
	Text  string  `json:"text,omitempty"`
	IDs   []int32 `json:"ids,omitempty"`
	NoBOS bool    `json:"no_bos,omitempty"` // text without <|endoftext|> in front
}

// OpenRequest loads a model and, if CLT is named, a transcoder.
type OpenRequest struct {
	Setup
	WithCLT bool `json:"with_clt,omitempty"`
}

// ModelInfo describes what is open.
type ModelInfo struct {
	Name       string   `json:"name"`
	SHA256     string   `json:"sha256"`
	Layers     int      `json:"layers"`
	DModel     int      `json:"d_model"`
	Heads      int      `json:"heads"`
	DMLP       int      `json:"d_mlp"`
	DVocab     int      `json:"d_vocab"`
	Context    int      `json:"context"`
	Parameters int      `json:"parameters"`
	Tokenizer  bool     `json:"tokenizer"`
	Backend    string   `json:"backend"`            // for people
	Rejected   []string `json:"rejected,omitempty"` // backends that were not taken, and why
	CLT        *CLTInfo `json:"clt,omitempty"`
}

// CLTInfo describes a transcoder.
type CLTInfo struct {
	Name       string          `json:"name"`
	SHA256     string          `json:"sha256"`
	Layers     int             `json:"layers"`
	Features   int             `json:"features"` // per layer
	Activation string          `json:"activation"`
	K          int             `json:"k,omitempty"`
	PerLayer   bool            `json:"per_layer,omitempty"`
	Skip       bool            `json:"skip,omitempty"`
	Read       string          `json:"input_hook"`
	Parameters int             `json:"parameters"`
	Metrics    json.RawMessage `json:"metrics,omitempty"` // as measured when it was trained
}

// TokensRequest tokenises texts.
type TokensRequest struct {
	Setup
	Prompt
	Long bool `json:"long,omitempty"` // it may be longer than the context
}

// TokensResponse is a prompt as the model sees it.
type TokensResponse struct {
	IDs    []int32  `json:"ids"`
	Tokens []string `json:"tokens"`
	Text   string   `json:"text,omitempty"` // of the ids, without <|endoftext|> in front; from the verb tokens alone
}

// Prediction is one candidate for the next token.
type Prediction struct {
	ID    int32   `json:"id"`
	Token string  `json:"token"`
	Logit float64 `json:"logit"`
	Prob  float64 `json:"prob"`
}

// RunRequest runs the model on one prompt.
type RunRequest struct {
	Setup
	Prompt
	Hooks       []string `json:"hooks,omitempty"`       // names or patterns; "all" for every one
	Out         string   `json:"out,omitempty"`         // safetensors with logits and hooks
	Top         int      `json:"top,omitempty"`         // predictions at the last position; 0 for 10
	Replacement bool     `json:"replacement,omitempty"` // run the full replacement model
}

// RunResponse gives the predictions after the last token.
type RunResponse struct {
	TokensResponse
	Top       []Prediction    `json:"top"`
	Out       string          `json:"out,omitempty"`
	Agreement *TokenAgreement `json:"agreement,omitempty"` // of the replacement model with the model
}

// TokenAgreement compares the logits of two runs on one prompt, by position.
type TokenAgreement struct {
	KL       []float64 `json:"kl"`       // KL(model || replaced), nats
	Cosine   []float64 `json:"cosine"`   // of centred logits
	MSE      []float64 `json:"mse"`      // of logits
	Same     []bool    `json:"same"`     // the likeliest token
	Diverges int       `json:"diverges"` // first position from 1 on with another likeliest token; -1 for none
}

// GenerateRequest continues a prompt.
type GenerateRequest struct {
	Setup
	Prompt
	N           int      `json:"n"`
	Temperature float64  `json:"temperature"`
	TopK        int      `json:"top_k,omitempty"`
	TopP        float64  `json:"top_p,omitempty"`
	Seed        uint64   `json:"seed"`
	Samples     int      `json:"samples,omitempty"` // continuations; 0 is one
	Penalty     float64  `json:"repetition_penalty,omitempty"`
	Slide       bool     `json:"slide,omitempty"`       // a text longer than the context goes on with its last half
	Stop        []int32  `json:"stop,omitempty"`        // tokens after which it ends
	Edits       []string `json:"edits,omitempty"`       // live edits, as InterveneRequest has them
	Other       *Prompt  `json:"other,omitempty"`       // prompt that swaps take activations from
	Replacement bool     `json:"replacement,omitempty"` // continue with the full replacement model
}

// GenerateResponse is the continued prompt: ids and text hold the whole, logprobs
// the new tokens.
type GenerateResponse struct {
	IDs      []int32   `json:"ids"`
	Text     string    `json:"text"`
	Logprobs []float64 `json:"logprobs"`
	New      int       `json:"new"` // how many of the ids are new
	Tokens   []string  `json:"tokens"`

	Diverges *Divergence `json:"diverges,omitempty"` // of the replacement model from the model, which is given the same sampler and seed

	More []GenerateResponse `json:"more,omitempty"` // the further samples
}

// Divergence is the first new token that another run has otherwise.
type Divergence struct {
	Pos      int    `json:"pos"` // in the ids; -1 if all are the same, and then nothing else is set
	ID       int32  `json:"id"`
	Token    string `json:"token"`
	Original int32  `json:"original_id"` // of the model itself
	Model    string `json:"original_token"`
}

// TrainLMRequest trains a language model. Zero numbers take the defaults.
type TrainLMRequest struct {
	Backend string   `json:"backend,omitempty"`
	Model   string   `json:"model,omitempty"` // whose weights and tokenizer it starts from; none: new ones
	World   bool     `json:"world,omitempty"` // the pocket world
	Texts   []string `json:"texts,omitempty"`
	Layers  int      `json:"layers,omitempty"`
	DModel  int      `json:"d_model,omitempty"`
	Heads   int      `json:"heads,omitempty"`
	Context int      `json:"context,omitempty"`
	Vocab   int      `json:"vocab,omitempty"`
	Steps   int      `json:"steps,omitempty"`
	Batch   int      `json:"batch,omitempty"` // windows
	LR      float64  `json:"lr,omitempty"`
	Seed    uint64   `json:"seed,omitempty"`
	Out     string   `json:"out"`
	Resume  bool     `json:"resume,omitempty"`
	Fresh   bool     `json:"fresh,omitempty"` // drop the checkpoint of an interrupted run, which is an error otherwise

	Config json.RawMessage `json:"config,omitempty"` // other settings, as gpt2.TrainConfig names them
}

// TrainLMResponse says what was trained.
type TrainLMResponse struct {
	Out        string     `json:"out"`
	Loss       float64    `json:"loss"`               // mean of the last tenth of the steps, at most a hundred, nats per token
	Validation *float64   `json:"val_loss,omitempty"` // of the text held out, nats per token
	Steps      int        `json:"steps"`
	Accuracy   []Accuracy `json:"accuracy,omitempty"` // with World
}

// Accuracy is how often the model answers right; -1 where there is nothing to ask.
type Accuracy struct {
	Behaviour string  `json:"behaviour"`
	Chance    float64 `json:"chance"`
	Seen      float64 `json:"seen"`
	SeenN     int     `json:"seen_n"`
	HeldOut   float64 `json:"held_out"`
	HeldOutN  int     `json:"held_out_n"`
}

// TrainRequest trains a transcoder. Zero numbers take the defaults.
type TrainRequest struct {
	Setup                      // CLT is not used
	World      bool            `json:"world,omitempty"`
	Texts      []string        `json:"texts,omitempty"`
	Features   int             `json:"features,omitempty"`
	Activation string          `json:"activation,omitempty"`
	K          int             `json:"k,omitempty"`
	Lambda     float64         `json:"lambda,omitempty"`
	C          float64         `json:"c,omitempty"`
	Batch      int             `json:"batch,omitempty"`
	Steps      int             `json:"steps,omitempty"`
	LR         float64         `json:"lr,omitempty"`
	Seed       uint64          `json:"seed,omitempty"`
	PerLayer   bool            `json:"per_layer,omitempty"`
	Skip       bool            `json:"skip,omitempty"`
	Read       string          `json:"read,omitempty"`
	Config     json.RawMessage `json:"config,omitempty"` // clt.TrainConfig, over the defaults and under the fields above
	Out        string          `json:"out"`
	Resume     bool            `json:"resume,omitempty"`
	Fresh      bool            `json:"fresh,omitempty"` // drop the checkpoint of an interrupted run, which is an error otherwise
	TrainData
}

// TrainData says how texts become batches. Zero values take the defaults.
type TrainData struct {
	Cache       string `json:"cache,omitempty"`        // folder that keeps activations; "" for none
	CacheDType  string `json:"cache_dtype,omitempty"`  // float32, bfloat16 or int8
	CacheBudget int64  `json:"cache_budget,omitempty"` // bytes
	CacheTokens int    `json:"cache_tokens,omitempty"` // go round the first so many tokens, with or without a cache
	ShuffleMiB  int    `json:"shuffle_mib,omitempty"`  // of the block that is shuffled; two are in memory
	DataSeed    uint64 `json:"data_seed,omitempty"`    // of the order of the data, instead of Seed
}

// TrainResponse says what was trained.
type TrainResponse struct {
	Out     string      `json:"out"`
	Steps   int         `json:"steps"`
	Metrics *Evaluation `json:"metrics"`
}

// SweepRequest trains one transcoder for each value of λ, or of k.
type SweepRequest struct {
	Train   TrainRequest `json:"train"` // Out is the folder of all
	Lambdas []float64    `json:"lambdas,omitempty"`
	Ks      []int        `json:"ks,omitempty"`
}

// SweepRun is one of its runs.
type SweepRun struct {
	Value   float64     `json:"value"`
	Out     string      `json:"out"`
	Metrics *Evaluation `json:"metrics"`
}

// SweepResponse has the runs in the order of the values.
type SweepResponse struct {
	Over string     `json:"over"` // lambda or k
	Runs []SweepRun `json:"runs"`
}

// EvalRequest evaluates a transcoder on text that it was not trained on.
type EvalRequest struct {
	Setup
	World  bool     `json:"world,omitempty"`
	Texts  []string `json:"texts,omitempty"`
	Tokens int      `json:"tokens,omitempty"`
	Graphs int      `json:"graphs,omitempty"` // prompts whose graphs are scored
	Card   string   `json:"card,omitempty"`   // file for the numbers as a page of Markdown
}

// CalibrateRequest turns a transcoder into a jumprelu of a given L0.
type CalibrateRequest struct {
	Setup
	World  bool      `json:"world,omitempty"`
	Texts  []string  `json:"texts,omitempty"`
	Tokens int       `json:"tokens,omitempty"`
	L0     []float64 `json:"l0,omitempty"` // per layer, or one number for all; none for what its k says
	Out    string    `json:"out"`
}

// CalibrateResponse compares both on the tokens of the calibration.
type CalibrateResponse struct {
	Out        string    `json:"out"`
	Tokens     int       `json:"tokens"`
	Before     []float64 `json:"l0_before"` // [layer]
	After      []float64 `json:"l0_after"`
	Threshold  []float64 `json:"threshold"` // [layer] of the first feature
	NMSEBefore float64   `json:"nmse_before"`
	NMSEAfter  float64   `json:"nmse_after"`
}

// EncodeRequest lists the active features of a prompt.
type EncodeRequest struct {
	Setup
	Prompt
}

// Activation is one active feature.
type Activation struct {
	Layer int     `json:"layer"`
	Pos   int     `json:"pos"`
	Index int     `json:"index"`
	Value float64 `json:"value"`
}

// EncodeResponse is ordered by layer, position, index.
type EncodeResponse struct {
	TokensResponse
	Warned
	Active []Activation `json:"active"`
}

// AttributeRequest makes an attribution graph.
type AttributeRequest struct {
	Setup
	Prompt
	Targets     []string `json:"targets,omitempty"`
	MaxLogits   int      `json:"max_logits,omitempty"`
	LogitProb   float64  `json:"logit_prob,omitempty"`
	MaxFeatures int      `json:"max_features,omitempty"`
	Batch       int      `json:"batch,omitempty"`
	Interval    int      `json:"update_interval,omitempty"`
	Compat      string   `json:"compat,omitempty"`
	Out         string   `json:"out,omitempty"` // graph as safetensors; empty: a file of the engine's
}

// GraphInfo describes a graph in a file.
type GraphInfo struct {
	Warned
	Path    string  `json:"path"`
	SHA256  string  `json:"sha256"`
	Nodes   int     `json:"nodes"`
	Feature int     `json:"features"`
	Active  int     `json:"active"`
	Score   Score   `json:"score"`
	Seconds float64 `json:"seconds"`
}

// Score is how much a graph explains.
type Score struct {
	Replacement         float64 `json:"replacement"`
	Completeness        float64 `json:"completeness"`
	CompletenessCT      float64 `json:"completeness_ct"`
	PathLength          float64 `json:"path_length"`
	RowIdentityMaxError float64 `json:"row_identity_max_error"`
}

// Check is one line of Doctor.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status"` // ok, warn, fail
	Detail string `json:"detail"`
	Cure   string `json:"cure,omitempty"`
}

// DoctorResponse is the state of the machine.
type DoctorResponse struct {
	Checks []Check `json:"checks"`
}

// Empty is a request without fields.
type Empty struct{}

// AccuracyRequest asks a model the questions of the pocket world.
type AccuracyRequest struct {
	Setup
}

// AccuracyResponse has one entry per behaviour.
type AccuracyResponse struct {
	Accuracy []Accuracy `json:"accuracy"`
}

// DemoPrompt is a question worth showing.
type DemoPrompt struct {
	Title     string `json:"title"`
	Text      string `json:"text"`
	Answer    string `json:"answer"`
	Behaviour string `json:"behaviour"`
}

// PromptsResponse lists the demonstration prompts.
type PromptsResponse struct {
	Prompts []DemoPrompt `json:"prompts"`
}
