package embed

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// clusters are points around so many centres in ten dimensions.
func clusters(groups, each int) (points [][]float64, group []int) {
	r := rand.New(rand.NewPCG(4, 5))
	for g := range groups {
		for range each {
			p := make([]float64, 10)
			for j := range p {
				p[j] = r.NormFloat64() * 0.3
			}
			p[g%10] += 6
			points, group = append(points, p), append(group, g)
		}
	}
	return points, group
}

// A line of known direction with a little of another gives both back, and their shares.
func TestPCA(t *testing.T) {
	u, v := []float64{0.6, 0, 0.8}, []float64{0.8, 0, -0.6}
	var points [][]float64
	for i := -50; i <= 50; i++ {
		a, b := float64(i), float64((i*i)%7-3)
		points = append(points, []float64{5 + a*u[0] + b*v[0], 7, a*u[2] + b*v[2]})
	}
	at, explained, err := PCA(points, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range at {
		if d := math.Abs(a[0] - float64(i-50)); d > 0.1 {
			t.Fatalf("point %d is at %g", i, a[0])
		}
		if math.Abs(a[2]) > 1e-9 {
			t.Fatalf("point %d has %g where nothing varies", i, a[2])
		}
	}
	if sum := explained[0] + explained[1] + explained[2]; math.Abs(sum-1) > 1e-9 || explained[0] < 0.99 || explained[2] > 1e-12 {
		t.Errorf("shares %v", explained)
	}
	same := [][]float64{{1, 2}, {1, 2}, {1, 2}}
	if at, ex, err := PCA(same, 2); err != nil || at[1][0] != 0 || ex[0] != 0 {
		t.Errorf("equal points: %v, %v, %v", at, ex, err)
	}
}

// Every point's nearest neighbours in the plane are of its own cluster.
func TestTSNEKeepsClusters(t *testing.T) {
	points, group := clusters(4, 15)
	y, err := TSNE(context.Background(), points, DefaultTSNEConfig())
	if err != nil {
		t.Fatal(err)
	}
	for i := range y {
		best, near := -1, math.Inf(1)
		for j := range y {
			if d := math.Hypot(y[i][0]-y[j][0], y[i][1]-y[j][1]); i != j && d < near {
				best, near = j, d
			}
		}
		if group[best] != group[i] || math.IsNaN(y[i][0]) {
			t.Errorf("point %d of cluster %d is beside one of cluster %d, at %v", i, group[i], group[best], y[i])
		}
	}
	again, err := TSNE(context.Background(), points, DefaultTSNEConfig())
	if err != nil || !slices.Equal(y, again) {
		t.Errorf("the same seed gives another picture: %v", err)
	}
}

// The entropy of each row is what the perplexity says.
func TestAffinities(t *testing.T) {
	points, _ := clusters(3, 12)
	d, row := make([]float64, len(points)), make([]float64, len(points))
	for j := range d {
		for k := range points[0] {
			d[j] += (points[0][k] - points[j][k]) * (points[0][k] - points[j][k])
		}
	}
	conditional(row, d, 0, math.Log(8))
	h := 0.0
	for _, p := range row {
		if p > 0 {
			h -= p * math.Log(p)
		}
	}
	if math.Abs(math.Exp(h)-8) > 1e-4 || row[0] != 0 {
		t.Errorf("perplexity %g, want 8", math.Exp(h))
	}
	sum := 0.0
	for _, p := range affinities(points, 8) {
		sum += p
	}
	if math.Abs(sum-1) > 1e-6 {
		t.Errorf("all affinities are %g, want 1", sum)
	}
}

func TestFewAndBadPoints(t *testing.T) {
	ctx := context.Background()
	equal := [][]float64{{1, 1}, {1, 1}, {1, 1}, {1, 1}, {2, 2}}
	y, err := TSNE(ctx, equal, DefaultTSNEConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range y {
		if math.IsNaN(p[0]) || math.IsInf(p[0], 0) {
			t.Errorf("equal points are at %v", y)
		}
	}
	for want, points := range map[string][][]float64{"fewer than two": {{1}}, "has 1 dimensions": {{1, 2}, {1}}, "value NaN": {{1}, {math.NaN()}}, "t-SNE of 2 points": {{1}, {2}}} {
		if _, err := TSNE(ctx, points, DefaultTSNEConfig()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	points, _ := clusters(2, 4)
	if _, err := TSNE(stopped, points, DefaultTSNEConfig()); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}
