package embed

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
)

// MaxTSNE is how many points t-SNE takes: it compares each with each.
const MaxTSNE = 2000

// TSNEConfig are the settings of TSNE.
type TSNEConfig struct {
	Perplexity float64 // how many neighbours count; made smaller for few points: at most (n-1)/3
	Iterations int
	Seed       uint64
}

// DefaultTSNEConfig is that of the paper, with fewer iterations.
func DefaultTSNEConfig() TSNEConfig { return TSNEConfig{Perplexity: 30, Iterations: 500, Seed: 1} }

// TSNE places points in the plane so that neighbours stay neighbours (van der Maaten and Hinton, 2008): exact, from the
// first two principal components with a little noise, with early exaggeration, momentum and gains. Distances between far
// points mean nothing.
func TSNE(ctx context.Context, points [][]float64, cfg TSNEConfig) ([][2]float64, error) {
	if err := check(points); err != nil {
		return nil, err
	}
	n := len(points)
	if n > MaxTSNE || n < 4 || cfg.Iterations < 1 || !(cfg.Perplexity >= 1) {
		return nil, fmt.Errorf("embed: t-SNE of %d points with perplexity %g in %d iterations; give 4 to %d points, at least 1 and 1", n, cfg.Perplexity, cfg.Iterations, MaxTSNE)
	}
	p := affinities(points, min(cfg.Perplexity, float64(n-1)/3))
	y, err := start(points, cfg.Seed)
	if err != nil {
		return nil, err
	}
	m := mover{y: y, speed: make([][2]float64, n), gain: make([][2]float64, n), q: make([]float64, n*n), rate: math.Max(float64(n)/12/4, 10)}
	for i := range m.gain {
		m.gain[i] = [2]float64{1, 1}
	}
	early := min(250, cfg.Iterations/2)
	for i := range cfg.Iterations {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		exaggeration, momentum := 1.0, 0.8
		if i < early {
			exaggeration, momentum = 12, 0.5
		}
		m.step(p, exaggeration, momentum)
	}
	return m.y, nil
}

// affinities are the joint probabilities of neighbours, [n·n].
func affinities(points [][]float64, perplexity float64) []float64 {
	n := len(points)
	p, d := make([]float64, n*n), make([]float64, n)
	for i := range n {
		for j := range n {
			d[j] = 0
			for k, v := range points[i] {
				d[j] += (v - points[j][k]) * (v - points[j][k])
			}
		}
		conditional(p[i*n:(i+1)*n], d, i, math.Log(perplexity))
	}
	for i := range n {
		for j := range i {
			v := math.Max((p[i*n+j]+p[j*n+i])/float64(2*n), 1e-12)
			p[i*n+j], p[j*n+i] = v, v
		}
	}
	return p
}

// conditional finds by bisection the width at which the neighbours of one point have the wanted entropy.
func conditional(row, d []float64, self int, entropy float64) {
	nearest := math.Inf(1)
	mean := 0.0
	for j, v := range d {
		if j != self {
			nearest = math.Min(nearest, v)
			mean += v / float64(len(d)-1)
		}
	}
	low, high := 0.0, math.Inf(1)
	beta := 1 / math.Max(mean, 1e-300)
	for range 100 {
		sum, weighted := 0.0, 0.0
		for j, v := range d {
			row[j] = 0
			if j != self {
				row[j] = math.Exp(-beta * (v - nearest))
				sum += row[j]
				weighted += row[j] * (v - nearest)
			}
		}
		h := math.Log(sum) + beta*weighted/sum
		for j := range row {
			row[j] /= sum
		}
		switch {
		case math.Abs(h-entropy) < 1e-6:
			return
		case h > entropy:
			low = beta
			if beta *= 2; !math.IsInf(high, 1) {
				beta = (low + high) / 2
			}
		default:
			high = beta
			beta = (low + high) / 2
		}
	}
}

// start is small: the principal components at a spread of 1e-4, with noise that tells equal points apart.
func start(points [][]float64, seed uint64) ([][2]float64, error) {
	n := min(2, len(points[0]))
	at, _, err := PCA(points, n)
	if err != nil {
		return nil, err
	}
	spread := 0.0
	for _, a := range at {
		spread += a[0] * a[0] / float64(len(at))
	}
	r := rand.New(rand.NewPCG(seed, 0x74534E45))
	y := make([][2]float64, len(at))
	for i, a := range at {
		for k := range 2 {
			if k < n && spread > 0 {
				y[i][k] = 1e-4 * a[k] / math.Sqrt(spread)
			}
			y[i][k] += 1e-6 * r.NormFloat64()
		}
	}
	return y, nil
}

type mover struct {
	y, speed, gain [][2]float64
	q              []float64
	rate           float64
}

// step moves every point down the gradient of the divergence.
func (m *mover) step(p []float64, exaggeration, momentum float64) {
	n, sum := len(m.y), 0.0
	for i := range n {
		for j := range i {
			a, b := m.y[i][0]-m.y[j][0], m.y[i][1]-m.y[j][1]
			q := 1 / (1 + a*a + b*b)
			m.q[i*n+j], m.q[j*n+i] = q, q
			sum += 2 * q
		}
	}
	gradient := make([][2]float64, n)
	for i := range n {
		for j := range n {
			if i == j {
				continue
			}
			q := m.q[i*n+j]
			f := 4 * (exaggeration*p[i*n+j] - math.Max(q/sum, 1e-12)) * q
			for k := range 2 {
				gradient[i][k] += f * (m.y[i][k] - m.y[j][k])
			}
		}
	}
	var mean [2]float64
	for i := range n {
		for k := range 2 {
			if (gradient[i][k] > 0) != (m.speed[i][k] > 0) {
				m.gain[i][k] += 0.2
			} else {
				m.gain[i][k] = math.Max(m.gain[i][k]*0.8, 0.01)
			}
			m.speed[i][k] = momentum*m.speed[i][k] - m.rate*m.gain[i][k]*gradient[i][k]
			m.y[i][k] += m.speed[i][k]
			mean[k] += m.y[i][k] / float64(n)
		}
	}
	for i := range n {
		for k := range 2 {
			m.y[i][k] -= mean[k]
		}
	}
}
