package replacement

import (
	"math"
	"math/rand/v2"
)

// RandomControl draws edits of the same size: as many other active features of the
// prompt change by the same total activation mass (the layers do not matter, the
// amount of activation does), and where a vector is added, a random one of the same
// norm is. Same seed, same draw. It returns false if there is nothing to draw, or
// too few other features.
func (l *Local) RandomControl(edits []Edit, seed uint64) ([]Edit, bool) {
	r := rand.New(rand.NewPCG(seed, 0x636f6e74726f6c))
	list, ok := l.randomFeatures(edits, r)
	if !ok {
		return nil, false
	}
	for _, e := range edits {
		if e.Add != nil {
			random := e
			random.Add = &Direction{Site: e.Add.Site, Scale: 1, Vector: randomDirection(r, l.vector(e))}
			list = append(list, random)
		}
	}
	return list, len(list) > 0
}

// randomFeatures draws the part of a control that changes features.
func (l *Local) randomFeatures(edits []Edit, r *rand.Rand) ([]Edit, bool) {
	edited, mass, count, sign := map[Place]bool{}, 0.0, 0, 0.0
	for _, e := range edits {
		for p := max(1, e.Pos); e.Add == nil && p < len(l.Tokens) && (p == e.Pos || e.Open); p++ {
			edited[Place{e.Feature, p}] = true
			mass += math.Abs(l.change(e, p))
			sign += l.change(e, p)
			count++
		}
	}
	var others []Active
	for _, a := range l.Active {
		if !edited[Place{a.Feature, a.Pos}] {
			others = append(others, a)
		}
	}
	if len(others) < count {
		return nil, false
	}
	r.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	total := 0.0
	for _, a := range others[:count] {
		total += math.Abs(a.Value)
	}
	direction := 1.0
	if sign < 0 {
		direction = -1
	}
	var list []Edit
	for _, a := range others[:count] {
		list = append(list, SetTo(a.Feature, a.Pos, a.Value+direction*mass*math.Abs(a.Value)/total))
	}
	return list, true
}

// randomDirection is a random vector of the norm of another.
func randomDirection(r *rand.Rand, like []float64) []float64 {
	v := make([]float64, len(like))
	var norm, drawn float64
	for i, x := range like {
		v[i] = r.NormFloat64()
		norm, drawn = norm+x*x, drawn+v[i]*v[i]
	}
	for i := range v {
		v[i] *= math.Sqrt(norm / drawn)
	}
	return v
}
