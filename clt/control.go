package clt

import (
	"fmt"
	"math"
)

// What happens when the running mean of L0 reaches TrainConfig.TargetL0.
const (
	TargetStop   = "stop"   // training ends, but for KL steps
	TargetSave   = "save"   // the transcoder of that step is saved in TargetDir; training goes on
	TargetFreeze = "freeze" // λ stays as it is, the learning rate falls as at the end of a run, which this becomes
	TargetSteer  = "steer"  // λ is steered all the time so that L0 comes down to the target with the ramp and stays there
)

// Constants of the L0 controller: the decay of the running L0 over a step; the
// change of ln λ over the whole run for each unit of ln(L0/wanted), and the most
// of it in one step; where λ starts as a fraction of Lambda.
const (
	controlMemory   = 0.95
	controlGain     = 30
	controlGainStep = 0.05
	controlStart    = 0.05
)

// control is what a run knows of its L0; part of a checkpoint.
type control struct {
	L0      float64 `json:"l0"`      // running mean per layer and token
	First   float64 `json:"first"`   // of the first step
	Factor  float64 `json:"factor"`  // λ is Lambda times it, when steered
	Reached int     `json:"reached"` // steps done when L0 came down to the target; 0 if not yet
}

// lambda is the weight of the sparsity penalty for the next step.
func (t *trainer) lambda() float64 {
	switch {
	case t.tc.AtTarget == TargetSteer:
		if t.control.Factor == 0 {
			t.control.Factor = controlStart
		}
		return t.tc.Lambda * t.control.Factor
	case t.tc.AtTarget == TargetFreeze && t.control.Reached > 0:
		return t.tc.LambdaAt(t.control.Reached)
	}
	return t.tc.LambdaAt(min(t.done, t.normal()))
}

// lr is the learning rate of the next step.
func (t *trainer) lr() float64 {
	if past := t.done - t.normal(); past >= 0 && t.tc.KLSteps > 0 {
		return t.tc.klRate(past)
	}
	if t.tc.AtTarget != TargetFreeze || t.control.Reached == 0 {
		return t.tc.LRAt(t.done)
	}
	length := max(1, t.tc.Decay*float64(t.tc.Steps))
	fall := 1 - (1-t.tc.FinalLR)*min(float64(t.done-t.control.Reached)/length, 1)
	return min(t.tc.LRAt(t.done), t.tc.LR*fall)
}

// last is how many steps the run has.
func (t *trainer) last() int { return t.normal() + t.tc.KLSteps }

// normal is how many steps come before the KL steps.
func (t *trainer) normal() int {
	switch {
	case t.control.Reached == 0:
	case t.tc.AtTarget == TargetStop:
		return min(t.control.Reached, t.tc.Steps)
	case t.tc.AtTarget == TargetFreeze:
		return min(t.control.Reached+int(t.tc.Decay*float64(t.tc.Steps)), t.tc.Steps)
	}
	return t.tc.Steps
}

// watch takes in the L0 of a step that is done.
func (t *trainer) watch(p Progress) {
	if t.tc.TargetL0 <= 0 || t.done > t.normal() {
		return
	}
	c, now := &t.control, p.L0/float64(t.cfg.Layers)
	if c.First == 0 {
		c.First, c.L0 = now, now
	}
	c.L0 = controlMemory*c.L0 + (1-controlMemory)*now
	if c.Reached == 0 && t.done > t.tc.Warmup && c.L0 <= t.tc.TargetL0 {
		c.Reached = t.done
	}
	if t.tc.AtTarget == TargetSteer {
		way := 1.0
		if length := t.tc.LambdaRamp * (1 - t.tc.Decay) * float64(t.tc.Steps); length > 0 {
			way = min(1, float64(t.done)/length)
		}
		start := max(c.First, t.tc.TargetL0)
		wanted := math.Exp(math.Log(start)*(1-way) + math.Log(t.tc.TargetL0)*way)
		c.Factor = min(max(c.Factor*math.Exp(min(controlGain/float64(t.tc.Steps), controlGainStep)*math.Log(max(c.L0, 1e-3)/wanted)), 1e-4), 1e4)
	}
}

// validateTarget checks the settings that belong to a target.
func (c TrainConfig) validateTarget() error {
	switch c.AtTarget {
	case "":
		if c.TargetL0 != 0 {
			return fmt.Errorf("clt: train config: target_l0 is %g, but at_target is not set; use stop, save, freeze or steer", c.TargetL0)
		}
		return nil
	case TargetStop, TargetSave, TargetFreeze, TargetSteer:
	default:
		return fmt.Errorf("clt: train config: at_target is %q, must be stop, save, freeze or steer", c.AtTarget)
	}
	if !(c.TargetL0 > 0) || math.IsInf(c.TargetL0, 0) {
		return fmt.Errorf("clt: train config: target_l0 is %g, must be above 0 for at_target %s", c.TargetL0, c.AtTarget)
	}
	return nil
}
