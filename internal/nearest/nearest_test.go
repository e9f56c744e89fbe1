package nearest

import "testing"

func TestDidYouMean(t *testing.T) {
	names := []string{"relu", "jumprelu", "topk", "batchtopk", "lambda", "lambda_ramp"}
	for got, want := range map[string]string{
		"rleu": "relu", "jumpleru": "jumprelu", "topkk": "topk", "batch_topk": "batchtopk", "lamda": "lambda", "lambda_rmap": "lambda_ramp",
		"gelu": "relu", "x": "", "": "", "relu": "relu", "sigmoid": "",
	} {
		if want != "" {
			want = ", did you mean " + want + "?"
		}
		if text := DidYouMean(got, names); text != want {
			t.Errorf("%q gives %q, want %q", got, text, want)
		}
	}
	if text := DidYouMean("relu", nil); text != "" {
		t.Errorf("without names %q", text)
	}
	for _, x := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}} {
		if got := distance(x.a, x.b); got != x.want {
			t.Errorf("%q and %q are %d apart, want %d", x.a, x.b, got, x.want)
		}
	}
}
