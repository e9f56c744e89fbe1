package clt

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

// Sparsity penalties.
const (
	PenaltyTanh = "tanh"
	PenaltyStep = "step" // straight-through, as the threshold's own gradient (Rajamanoharan et al. 2024)
)

// Types of the matrix products of training.
const (
	ComputeFloat32  = "float32"
	ComputeBFloat16 = "bfloat16" // operands and results; for devices whose products of it are fast
)

// Units in which the errors of the layers are added up.
const (
	ScaleNorm     = "norm"     // outputs have a mean norm of sqrt(d_model)
	ScaleVariance = "variance" // outputs have a mean squared distance of d_model from their mean
)

// TrainConfig holds the settings of a training run. Losses are in the space
// where activations have a mean norm of sqrt(d_model); every term is a mean over
// tokens, so λ does not depend on the batch size.
type TrainConfig struct {
	Batch      int    `json:"batch"`      // tokens per step
	Accumulate int    `json:"accumulate"` // equal parts of a batch, also of one of KL steps, that are computed one after the other, for memory; their gradients are averaged
	Steps      int    `json:"steps"`
	Seed       uint64 `json:"seed"`    // of the initial weights
	Path       string `json:"path"`    // how steps are computed: auto, dense or sparse
	Compute    string `json:"compute"` // type of the matrix products: float32 or bfloat16; weights, moments and sums stay float32

	LR       float64 `json:"lr"`        // peak learning rate
	Warmup   int     `json:"warmup"`    // steps of linear rise
	Decay    float64 `json:"decay"`     // fraction of the steps, at the end, of linear fall
	FinalLR  float64 `json:"final_lr"`  // where the fall ends, as a fraction of LR
	Beta1    float64 `json:"beta1"`     // Adam
	Beta2    float64 `json:"beta2"`     // Adam
	Epsilon  float64 `json:"epsilon"`   // Adam
	ClipNorm float64 `json:"clip_norm"` // global gradient norm; 0 for none

	Lambda     float64 `json:"lambda"`      // weight of the tanh sparsity penalty, at its end; unused for topk and batchtopk
	LambdaRamp float64 `json:"lambda_ramp"` // fraction of the steps over which λ rises from 0
	TanhScale  float64 `json:"tanh_scale"`  // c in tanh(c·a·‖W_dec‖)
	DetachNorm bool    `json:"detach_norm"` // no gradient through ‖W_dec‖ in the tanh penalty, for comparison
	Penalty    string  `json:"penalty"`     // tanh, or for jumprelu also step: the number of active features, whose gradient thresholds alone get

	TargetL0 float64 `json:"target_l0"` // active features per layer and token, running mean; 0 for none
	AtTarget string  `json:"at_target"` // what happens there: stop, save, freeze or steer

	Theta0        float64 `json:"theta0"`         // initial JumpReLU threshold
	Bandwidth     float64 `json:"bandwidth"`      // width of the straight-through window around a threshold
	ThresholdRate float64 `json:"threshold_rate"` // learning rate of log thresholds, in units of LR
	ThresholdEMA  float64 `json:"threshold_ema"`  // decay of the running batchtopk threshold

	DeadWindow  int     `json:"dead_window"`  // steps without a fire after which a feature counts as dead
	DeadPenalty float64 `json:"dead_penalty"` // weight of relu(theta - h)·‖W_dec‖ for dead features
	AuxK        int     `json:"aux_k"`        // dead features per layer that explain the residual; 0 for none
	AuxScale    float64 `json:"aux_scale"`    // weight of that loss

	ScaleOut   string  `json:"scale_out"`   // unit of each layer's error: norm, its mean output norm, or variance, which makes the loss the NMSE summed over layers
	InitActive float64 `json:"init_active"` // features per layer that fire at the start, at most 30 %; 0 leaves biases at 0
	StatTokens int     `json:"stat_tokens"` // tokens for the scales, the mean output and the initial biases

	// KL steps follow the others. Their batches are whole sequences, and their loss has
	// one more term, KL(model ‖ replacement model) of the next token, whose gradient
	// passes through the language model. It trades reconstruction for the prediction.
	KLSteps  int     `json:"kl_steps,omitempty"`  // 0 for none
	KLWeight float64 `json:"kl_weight,omitempty"` // of the divergence in nats per token, position 0 left out
	KLBatch  int     `json:"kl_batch,omitempty"`  // sequences per step
	KLLR     float64 `json:"kl_lr,omitempty"`     // learning rate at their beginning; it falls linearly to FinalLR of it

	ReportEvery int `json:"report_every"` // steps between reports

	ShuffledTargets bool `json:"shuffled_targets,omitempty"` // negative control: each token is given what the MLPs wrote for another token of its batch

	CheckpointEvery int `json:"checkpoint_every,omitempty"` // steps between checkpoints
	KeepCheckpoints int `json:"keep_checkpoints,omitempty"` // newest ones kept

	CheckpointDir string      `json:"-"` // "" for none
	DataFrom      int         `json:"-"` // batches that data is already past; CheckpointStep saves a resumed run the going through them
	TargetDir     string      `json:"-"` // transcoder saved at the target
	Init          *Transcoder `json:"-"` // weights to start from, in raw space; nil for new ones

	Model   *gpt2.Model      `json:"-"` // language model of KL steps, on the backend of the run
	Windows gpt2.TokenSource `json:"-"` // their sequences, from its first step on, whatever its batches are
}

// DefaultTrainConfig suits a small model. One run each on the pocket model, 512
// features per layer, 2 M tokens: batches of 512 gave an error a tenth below those
// of 2048. DeadPenalty 1e-2 took silent features of a jumprelu from 29 % to 4 %
// and 1e-1 to 1 %, at the same error; a batchtopk wants 1e-3 or less, because what
// dead features are made to take is missing elsewhere. tutorials/ablations.md has
// more. Single runs: differences under a tenth mean nothing.
func DefaultTrainConfig() TrainConfig {
	return TrainConfig{
		Batch: 512, Accumulate: 1, Steps: 4000, Seed: 1, Path: PathAuto, Compute: ComputeFloat32,
		LR: 2e-3, Warmup: 100, Decay: 0.2, FinalLR: 0.05, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, ClipNorm: 1,
		Lambda: 0.4, LambdaRamp: 1, TanhScale: 1, Penalty: PenaltyTanh,
		Theta0: 0.03, Bandwidth: 1, ThresholdRate: 1, ThresholdEMA: 0.9,
		DeadWindow: 50, DeadPenalty: 1e-2, AuxScale: 1.0 / 32,
		ScaleOut: ScaleNorm, InitActive: 48, StatTokens: 16384,
		ReportEvery: 10, CheckpointEvery: 200, KeepCheckpoints: 2,
	}
}

// DefaultTrainConfig is the settings that suit the activation.
func (c Config) DefaultTrainConfig() TrainConfig {
	tc := DefaultTrainConfig()
	if c.selects() {
		tc.DeadPenalty = 1e-3
	}
	return tc
}

// Validate names the first setting that cannot be.
func (c TrainConfig) Validate() error {
	for _, f := range []struct {
		name     string
		value    float64
		min, max float64
	}{
		{"batch", float64(c.Batch), 1, math.MaxInt32}, {"accumulate", float64(c.Accumulate), 1, float64(c.Batch)}, {"steps", float64(c.Steps), 1, math.MaxInt32},
		{"lr", c.LR, 1e-12, 1e3}, {"warmup", float64(c.Warmup), 0, math.MaxInt32},
		{"decay", c.Decay, 0, 1}, {"final_lr", c.FinalLR, 0, 1},
		{"beta1", c.Beta1, 0, 0.999999}, {"beta2", c.Beta2, 0, 0.999999}, {"epsilon", c.Epsilon, 1e-30, 1},
		{"clip_norm", c.ClipNorm, 0, 1e12}, {"lambda", c.Lambda, 0, 1e9}, {"lambda_ramp", c.LambdaRamp, 0, 1},
		{"tanh_scale", c.TanhScale, 1e-9, 1e9}, {"theta0", c.Theta0, 1e-9, 1e9}, {"bandwidth", c.Bandwidth, 1e-9, 1e9},
		{"threshold_rate", c.ThresholdRate, 1e-9, 1e9}, {"threshold_ema", c.ThresholdEMA, 0, 0.999999},
		{"dead_window", float64(c.DeadWindow), 1, math.MaxInt32}, {"dead_penalty", c.DeadPenalty, 0, 1e9},
		{"aux_k", float64(c.AuxK), 0, math.MaxInt32}, {"aux_scale", c.AuxScale, 0, 1e9},
		{"init_active", c.InitActive, 0, 1e9}, {"stat_tokens", float64(c.StatTokens), 1, math.MaxInt32},
		{"report_every", float64(c.ReportEvery), 1, math.MaxInt32},
	} {
		if !(f.value >= f.min && f.value <= f.max) {
			return fmt.Errorf("clt: train config: %s is %.10g, must be between %.10g and %.10g", f.name, f.value, f.min, f.max)
		}
	}
	if c.Batch%c.Accumulate != 0 {
		return fmt.Errorf("clt: train config: accumulate is %d, must divide batch (%d)", c.Accumulate, c.Batch)
	}
	if c.ShuffledTargets && c.Batch < 2 {
		return fmt.Errorf("clt: train config: shuffled_targets takes targets of other tokens of the batch, but batch is %d; give at least 2", c.Batch)
	}
	if c.ShuffledTargets && c.KLSteps > 0 {
		return fmt.Errorf("clt: train config: shuffled_targets is a control, but kl_steps is %d and KL steps know the right targets; set one of the two", c.KLSteps)
	}
	if c.Path != PathAuto && c.Path != PathDense && c.Path != PathSparse {
		return fmt.Errorf("clt: train config: path is %q, must be auto, dense or sparse", c.Path)
	}
	if c.Penalty != PenaltyTanh && c.Penalty != PenaltyStep {
		return fmt.Errorf("clt: train config: penalty is %q, must be tanh or step", c.Penalty)
	}
	if c.ScaleOut != ScaleNorm && c.ScaleOut != ScaleVariance {
		return fmt.Errorf("clt: train config: scale_out is %q, must be norm or variance", c.ScaleOut)
	}
	if c.Compute != ComputeFloat32 && c.Compute != ComputeBFloat16 {
		return fmt.Errorf("clt: train config: compute is %q, must be float32 or bfloat16", c.Compute)
	}
	if err := c.validateKL(); err != nil {
		return err
	}
	if err := c.validateTarget(); err != nil {
		return err
	}
	if c.AtTarget == TargetSave && c.TargetDir == "" {
		return fmt.Errorf("clt: train config: at_target is save, but there is no folder for it; name one")
	}
	if c.CheckpointDir != "" && (c.CheckpointEvery < 1 || c.KeepCheckpoints < 1) {
		return fmt.Errorf("clt: train config: checkpoint_every is %d, keep_checkpoints is %d; both must be at least 1", c.CheckpointEvery, c.KeepCheckpoints)
	}
	return nil
}

// product is the type of the matrix products, none for that of the weights.
func (c TrainConfig) product() dtypes.DType {
	if c.Compute == ComputeBFloat16 {
		return dtypes.BFloat16
	}
	return dtypes.InvalidDType
}

// thresholdDecay is the decay of the running threshold over one part of a batch.
func (c TrainConfig) thresholdDecay() float64 {
	return math.Pow(c.ThresholdEMA, 1/float64(max(1, c.Accumulate)))
}

// UnmarshalJSON reads the settings over those already in c, and refuses keys
// that it does not know.
func (c *TrainConfig) UnmarshalJSON(data []byte) error {
	type plain TrainConfig
	if err := strictjson.Decode(data, (*plain)(c)); err != nil {
		return fmt.Errorf("clt: train config: %w", err)
	}
	return nil
}
