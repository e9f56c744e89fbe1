package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// covered says which tests hold one numbered statement. A test is written as room
// and name: "clt/replacement TestToyCircuits".
type covered struct {
	number    int
	statement string
	tests     []string
	// missing is the room that has to exist before the statement can be tested, with
	// the reason; the line fails as soon as the room is there.
	missing string
}

// invariants are the 68 testable statements about transcoders, replacement models,
// graphs, scores, interventions and global weights.
var invariants = []covered{
	{1, "decoding is causal, and dense, pairwise and sparse decoders agree", []string{"clt TestCausalAndPerLayer", "clt TestEncodeDecodeAgainstLoops"}, ""},
	{2, "without decoders to other layers a CLT is a per-layer transcoder", []string{"clt TestCausalAndPerLayer"}, ""},
	{3, "an activation is 0 or above its threshold; L0 falls as thresholds rise", []string{"clt TestInvariant03Threshold", "clt TestEncodeDecodeAgainstLoops", "clt TestJumpReLUGradient"}, ""},
	{4, "the threshold's mean gradient is -theta·p(theta), zero outside the window", []string{"clt TestThresholdGradientMean", "clt TestJumpReLUGradient"}, ""},
	{5, "the penalty's bounds, slope and limit", []string{"clt TestInvariant05Penalty", "clt TestSparsityLimits"}, ""},
	{6, "decoder norms are over all targets together", []string{"clt TestInvariant06DecoderNorms", "clt TestLossTerms"}, ""},
	{7, "rescaling a feature changes no loss and no normalised edge", []string{"clt TestRescaleSymmetry", "clt/replacement TestInvariant07RescaledRows", "clt/attribution TestInvariant44RowScaling"}, ""},
	{8, "folded weights on raw data are the scaled transcoder, and so are their graphs", []string{"clt TestFold", "clt TestInvariant08FoldedGraph"}, ""},
	{9, "parameter count; saving, loading and saving gives the same bytes", []string{"clt TestSaveLoadSave", "clt TestSavedLayout", "clt TestLoadReferenceFolders"}, ""},
	{10, "gradients of the loss against central differences", []string{"clt TestLossGradient"}, ""},
	{11, "schedules", []string{"clt TestSchedules"}, ""},
	{12, "initial biases give the firing rate that was asked for", []string{"clt TestInitialBiases"}, ""},
	{13, "all off is the mean: FVU 1; perfect: FVU 0", []string{"clt TestEvalLimits"}, ""},
	{14, "parts of a batch average to the batch", []string{"clt TestInvariant14MicroBatches", "clt TestBatchSizeInvariance"}, ""},
	{15, "a feature that fires is not dead; L0 counts active features per token", []string{"clt TestDeadCounters", "clt TestEvalAgainstLoops"}, ""},
	{16, "the true MLP outputs in place of the transcoder's change nothing", []string{"clt/replacement TestInvariant16PerfectTranscoder"}, ""},
	{17, "KL is not negative; order does not matter; the zero-ablation limit", []string{"clt/replacement TestInvariant17Comparison"}, ""},
	{18, "the compiled transcoder of a ReLU MLP is exact, its scores are 1", []string{"clt/replacement TestInvariant18CompiledTranscoder", "clt/replacement TestToyCircuits"}, ""},
	{19, "the local replacement model is the clean run", []string{"clt/replacement TestInvariant19Exactness", "internal/naive TestLocalIsExact"}, ""},
	{20, "the frozen model is affine", []string{"clt/replacement TestInvariant20Affine"}, ""},
	{21, "the sweep is the adjoint of the frozen pass", []string{"clt/replacement TestInvariant21Adjoint"}, ""},
	{22, "frozen LayerNorms keep centring", []string{"clt/replacement TestInvariant22Centring"}, ""},
	{23, "the attention's part of the bias does not depend on the pattern", []string{"internal/naive TestRows", "clt/replacement TestInvariant25FeatureRows"}, ""},
	{24, "nodes: number, order, active features", []string{"clt/replacement TestInvariant24Nodes"}, ""},
	{25, "feature rows add up to pre-activations", []string{"clt/replacement TestInvariant25FeatureRows"}, ""},
	{26, "logit rows add up to centred logits", []string{"clt/replacement TestInvariant26LogitRows"}, ""},
	{27, "adding a source's output once more moves every target by its edge", []string{"clt/replacement TestColumnsByPerturbation"}, ""},
	{28, "which edges must be zero", []string{"clt/replacement TestInvariant28ZeroPattern", "clt/attribution TestValidate"}, ""},
	{29, "batch size and order change no row", []string{"clt/replacement TestInvariant29BatchSizes", "clt/replacement TestCapKeepsRows"}, ""},
	{30, "later tokens change no earlier node and edge", []string{"clt/replacement TestInvariant30Prefix"}, ""},
	{31, "without attention an edge is activation times virtual weight", []string{"clt/replacement TestInvariant63VirtualWeights"}, ""},
	{32, "between adjacent layers an edge is a residual part and one for each head", []string{"clt/replacement TestInvariant32RemovingAHead", "clt/replacement TestHeadsAddUp"}, ""},
	{33, "logit rows over the whole vocabulary add up to zero", []string{"clt/replacement TestInvariant33LogitCentring"}, ""},
	{34, "which logits are targets", []string{"clt/replacement TestInvariant34LogitSet"}, ""},
	{35, "with other features held fixed an edge is an exact difference quotient", []string{"clt/replacement TestInvariant35FiniteDifference"}, ""},
	{36, "total effects are (I-W)⁻¹ while no feature crosses its threshold", []string{"clt/replacement TestInvariant36TotalEffects", "clt/attribution TestTotalEffects"}, ""},
	{37, "a node without influence moves no target", []string{"clt/replacement TestInvariant37NoInfluence"}, ""},
	{38, "rows are linear in the target", []string{"clt/replacement TestInvariant38Targets"}, ""},
	{39, "normalised rows add up to 1 or 0", []string{"clt/attribution TestInvariant39RowsAreShares"}, ""},
	{40, "the normalised matrix is nilpotent", []string{"clt/attribution TestInvariant40Nilpotent"}, ""},
	{41, "one pass is the series of powers", []string{"clt/attribution TestInvariant41OnePassIsTheSeries"}, ""},
	{42, "influence of inputs and errors is conserved", []string{"clt/attribution TestInvariant42Conservation"}, ""},
	{43, "how the scores hang together", []string{"clt/attribution TestInvariant43Scores"}, ""},
	{44, "a row's scale changes neither influence nor pruning", []string{"clt/attribution TestInvariant44RowScaling"}, ""},
	{45, "scores without errors are 1, and those without features", []string{"clt/attribution TestInvariant45NoErrorsNoFeatures"}, ""},
	{46, "the twelve-node graph", []string{"clt/attribution TestInvariant46GoldenGraph", "clt/attribution TestGraphA"}, ""},
	{47, "a higher threshold keeps more", []string{"clt/attribution TestInvariant47Nested"}, ""},
	{48, "masks applied twice change nothing", []string{"clt/attribution TestInvariant48Idempotent"}, ""},
	{49, "no loose ends after pruning", []string{"clt/attribution TestInvariant49NoLooseEnds", "clt/attribution TestInvariant49CutOutput"}, ""},
	{50, "kept edges hold the share that was asked for", []string{"clt/attribution TestInvariant50EdgeShare"}, ""},
	{51, "folding keeps the sums of rows", []string{"clt/attribution TestInvariant51FoldKeepsRows"}, ""},
	{52, "path lengths: series and closed form", []string{"clt/attribution TestInvariant52PathLength"}, ""},
	{53, "supernodes' input adds up to 1", []string{"clt/attribution TestInvariant53Supernodes"}, ""},
	{54, "same prompt, same bytes", []string{"clt/attribution TestInvariant54Determinism", "clt/replacement TestSameBytes"}, ""},
	{55, "edits that change nothing change no bit", []string{"clt/replacement TestInvariant55NoOp"}, ""},
	{56, "a constrained patch moves a target by the edge if divisors are frozen, otherwise not", []string{"clt/replacement TestInvariant56DirectEdge"}, ""},
	{57, "nothing changes before the edit", []string{"clt/replacement TestInvariant57Locality"}, ""},
	{58, "constrained changes add", []string{"clt/replacement TestInvariant58Additivity"}, ""},
	{59, "over all layers the logit moves by its direct edge", []string{"clt/replacement TestInvariant59DirectLogitEffect"}, ""},
	{60, "a feature of the last layer and position, with ln_f live", []string{"clt/replacement TestInvariant60FinalDivisor"}, ""},
	{61, "iterative patching is the live local replacement model, and the full one without errors", []string{"clt/replacement TestInvariant61Iterative", "clt/replacement TestReplacementAgainstLoops"}, ""},
	{62, "suppression moves a target against its edge", []string{"clt/replacement TestInvariant56DirectEdge"}, ""},
	{63, "virtual weights go up and need no prompt", []string{"clt/replacement TestInvariant63VirtualWeights"}, ""},
	{64, "ERA and TWERA are means over tokens", []string{"clt/replacement TestInvariant64Coactivation", "clt TestCoactivation"}, ""},
	{65, "TWERA under rescaling", []string{"clt TestInvariant65Rescaling"}, ""},
	{66, "stored top examples re-encode to what is stored", []string{"clt/features TestInvariant66Reencode"}, ""},
	{67, "direct logit effects are edges up to the divisor", []string{"clt/replacement TestInvariant67LogitWeights"}, ""},
	{68, "the parallelogram of additive features", []string{"clt TestInvariant68Parallelogram"}, ""},
}

// acceptance are the 22 tests that attribution for GPT-2 has to pass.
var acceptance = []covered{
	{1, "columns of tokens, positions and errors by perturbation", []string{"clt/replacement TestColumnsByPerturbation"}, ""},
	{2, "columns of features by perturbation", []string{"clt/replacement TestColumnsByPerturbation", "clt/replacement TestInvariant35FiniteDifference"}, ""},
	{3, "row identity", []string{"clt/replacement TestInvariant25FeatureRows", "clt/replacement TestInvariant26LogitRows"}, ""},
	{4, "all read points, activations, per-layer and skip", []string{"internal/naive TestRows", "clt/replacement TestColumnsByPerturbation"}, ""},
	{5, "frozen rows do not depend on tokens", []string{"clt/replacement TestFrozenRowsIgnoreTokens"}, ""},
	{6, "linearity", []string{"clt/replacement TestInvariant20Affine"}, ""},
	{7, "batch sizes and orders", []string{"clt/replacement TestInvariant29BatchSizes"}, ""},
	{8, "a cap keeps rows, is met and is deterministic", []string{"clt/replacement TestCapKeepsRows"}, ""},
	{9, "golden pruning", []string{"clt/attribution TestGraphA", "clt/attribution TestGraphB"}, ""},
	{10, "golden scores", []string{"clt/attribution TestGraphA", "clt/attribution TestGraphB"}, ""},
	{11, "JSON: schema, unique ids, link ends, Cantor numbers", []string{"clt/attribution TestJSONRoundTrip", "clt/attribution TestValidateJSONFaults", "clt/attribution TestCantor"}, ""},
	{12, "JSON there and back", []string{"clt/attribution TestJSONRoundTrip"}, ""},
	{13, "safetensors read back, lazy rows", []string{"clt TestSaveLoadSave", "clt TestSavedLayout", "internal/safetensors TestRoundTrip", "internal/safetensors TestDTypesOfOneModelAgree"}, ""},
	{14, "converters keep reconstructions", []string{"clt/convert TestForge", "clt/convert TestCoding", "clt/convert TestSparsify", "clt/convert TestSweep", "clt/convert TestSAELens", "clt/convert TestByteDance"}, ""},
	{15, "forms of targets agree", []string{"clt/replacement TestTargetForms", "clt/replacement TestInvariant38Targets"}, ""},
	{16, "a custom direction is the difference of rows", []string{"clt/replacement TestInvariant38Targets", "clt/replacement TestAnyDirection"}, ""},
	{17, "interventions: no-op, direct effect, iterative, every new token", []string{"clt/replacement TestInvariant55NoOp", "clt/replacement TestInvariant59DirectLogitEffect", "clt/replacement TestInvariant61Iterative", "clt/replacement TestOpenEditsInGeneration", "clt/replacement TestEditsBehindThePrompt"}, ""},
	{18, "planted circuits", []string{"clt/replacement TestToyCircuits"}, ""},
	{19, "XLA against Go", []string{"clt/replacement TestGraphParityWithReference", "clt/replacement TestSplitsOnXLA", "clt/replacement TestEditsOnXLA", "clt TestStepOnXLA"}, ""},
	{20, "edge cases", []string{"clt/replacement TestPromptEdgeCases", "clt/replacement TestInactiveLastPosition", "clt/replacement TestNextToNothing", "clt/replacement TestInterventionEdgeCases", "clt/replacement TestRefusedEdits", "clt/replacement TestNotFinite", "clt/replacement TestBudget", "clt/attribution TestEdgeCases", "gpt2 TestBadPromptsAreRefused"}, ""},
	{21, "pages: no outside address, small, readable without script", []string{"viz TestHostileGraph", "viz TestBudgets", "viz TestPageBudget"}, ""},
	{22, "same bytes twice", []string{"clt/replacement TestSameBytes", "viz TestSameBytes"}, ""},
}

// TestEveryStatementHasATest looks the tests up in the sources.
func TestEveryStatementHasATest(t *testing.T) {
	root := moduleRoot(t)
	tests := map[string]map[string]bool{}
	for _, list := range []struct {
		name  string
		want  int
		lines []covered
	}{{"invariant", 68, invariants}, {"acceptance test", 22, acceptance}} {
		if len(list.lines) != list.want {
			t.Errorf("%d lines of %ss, want %d", len(list.lines), list.name, list.want)
		}
		for i, line := range list.lines {
			at := fmt.Sprintf("%s %d (%s)", list.name, line.number, line.statement)
			if line.number != i+1 {
				t.Errorf("%s is in line %d", at, i+1)
			}
			if room, _, ok := strings.Cut(line.missing, ":"); ok {
				t.Logf("%s is not tested: %s", at, line.missing)
				if len(testsOf(t, filepath.Join(root, room))) > 0 {
					t.Errorf("%s: %s is there now; name its test", at, room)
				}
				continue
			}
			if len(line.tests) == 0 {
				t.Errorf("%s has no test", at)
			}
			for _, name := range line.tests {
				room, function, _ := strings.Cut(name, " ")
				if tests[room] == nil {
					tests[room] = testsOf(t, filepath.Join(root, room))
				}
				if !tests[room][function] {
					t.Errorf("%s: there is no test %s in %s", at, function, room)
				}
			}
		}
	}
}

// testsOf are the names of a folder's test functions; none if it is not there.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names[f.Name.Name] = true
			}
		}
	}
	return names
}
