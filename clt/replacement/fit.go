package replacement

import (
	"fmt"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/gpt2"
)

// Fit is how well the transcoder reconstructs the MLP outputs of a prompt.
type Fit struct {
	NMSE      float64   // mean over layers
	NMSELayer []float64 // Σ‖error‖² over what predicting the mean would leave
	Tokens    int       // positions; position 0 is left out
}

// Fit compares the errors of the prompt with the spread of the MLP outputs around
// their mean over its positions, by layer. Above 1 the transcoder is worse than
// predicting the mean, which with few positions alone says little.
func (l *Local) Fit() Fit {
	f, d := Fit{Tokens: len(l.Tokens) - 1}, l.CLT.DModel
	for layer, out := range l.mlpOut {
		mean := make([]float64, d)
		for i := d; i < out.Len(); i++ {
			mean[i%d] += out.At(i) / float64(f.Tokens)
		}
		var left, spread float64
		for i := d; i < out.Len(); i++ {
			e, v := l.errors[layer].At(i), out.At(i)-mean[i%d]
			left, spread = left+e*e, spread+v*v
		}
		if f.Tokens > 1 { // the mean is that of the same positions
			spread *= float64(f.Tokens) / float64(f.Tokens-1)
		}
		f.NMSELayer = append(f.NMSELayer, left/max(spread, 1e-30))
		f.NMSE += f.NMSELayer[layer] / float64(len(l.mlpOut))
	}
	return f
}

// minFit is how many positions make a fit that can be judged.
const minFit = 4

// Good says whether there is enough to judge by, and it is better than the mean.
func (f Fit) Good() bool { return f.Tokens >= minFit && f.NMSE <= 1 }

// Unlike says that the transcoder does not fit this prompt, "" if it does or the prompt
// is too short to tell: of a transcoder that fits others, the prompt is a strange one.
func (l *Local) Unlike() string {
	f := l.Fit()
	if f.Tokens < minFit || f.NMSE <= 1 {
		return ""
	}
	return fmt.Sprintf("the transcoder %s fits other text, but reconstructs the MLP outputs of this prompt with a normalised error of %.3g, worse than predicting the mean: the prompt is unlike what it was trained on, and errors carry its graph", l.ID.Name, f.NMSE)
}

// Suspicion says loudly that the transcoder does not belong to this model, and
// what the likely mistake is: "" if it reconstructs the prompt better than the mean
// does. judged is false if the prompt is too short to tell. It tries the other read
// points, which takes a pass for each, only when something is wrong.
func (l *Local) Suspicion() (text string, judged bool, err error) {
	f := l.Fit()
	if f.Tokens < minFit {
		return "", false, nil
	}
	if f.NMSE <= 1 {
		return "", true, nil
	}
	text = fmt.Sprintf("the transcoder %s reconstructs the MLP outputs of this prompt with a normalised error of %.3g, worse than predicting the mean; graphs from it explain nothing", l.ID.Name, f.NMSE)
	best, least := gpt2.Site(""), f.NMSE/2
	for _, site := range clt.ReadSites() {
		if site == l.CLT.Read {
			continue
		}
		nmse, err := l.fitAt(site)
		if err != nil {
			return "", true, err
		}
		if nmse < least {
			best, least = site, nmse
		}
	}
	switch {
	case best != "" && least <= 1:
		text += fmt.Sprintf("; read at %s instead of %s the error is %.3g: set input_hook in its clt.json", best, l.CLT.Read, least)
	case l.CLT.Model != "" && l.CLT.Model != l.LM.Name:
		text += fmt.Sprintf("; it was trained on %s, this model is %s", l.CLT.Model, l.LM.Name)
	default:
		text += fmt.Sprintf("; no read point helps (it says %s): was it trained on another model, or were the scales of its training not folded in?", l.CLT.Read)
	}
	return text, true, nil
}

// fitAt is the NMSE that the transcoder would have on the prompt if it read another
// activation.
func (l *Local) fitAt(site gpt2.Site) (float64, error) {
	t := *l.CLT
	t.Read = site
	m, err := New(l.LM, &t, l.ID)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	other, err := m.Localize(l.Tokens)
	if err != nil {
		return 0, err
	}
	return other.Fit().NMSE, nil
}

// firstNotFinite is the index of the first number that is none, -1 if all are.
func firstNotFinite(a gpt2.Array) int {
	for i := range a.Len() {
		if v := a.At(i); v-v != 0 {
			return i
		}
	}
	return -1
}

// checkFinite names the first activation of the clean run that is no number.
func (l *Local) checkFinite() error {
	for layer := range l.mlpOut {
		if i := firstNotFinite(l.mlpOut[layer]); i >= 0 {
			d := l.CLT.DModel
			return fmt.Errorf("replacement: %s is %g at position %d, dimension %d; the model's numbers overflow on this prompt, try float64", gpt2.MLPOut.At(layer), l.mlpOut[layer].At(i), i/d, i%d)
		}
		if i := firstNotFinite(l.pre[layer]); i >= 0 {
			f := l.CLT.Features
			return fmt.Errorf("replacement: the pre-activation of %v is %g at position %d; its encoder overflows on this prompt, try float64", clt.Feature{Layer: layer, Index: i % f}, l.pre[layer].At(i), i/f)
		}
	}
	if i := firstNotFinite(l.Logits); i >= 0 {
		v := l.LM.Config.DVocab
		return fmt.Errorf("replacement: the logit of token %d is %g at position %d; the model's numbers overflow on this prompt, try float64", i%v, l.Logits.At(i), i/v)
	}
	return nil
}
