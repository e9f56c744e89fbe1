//go:build amd64 && goexperiment.simd

package vec

import "simd/archsimd"

func init() {
	if archsimd.X86.AVX2() && archsimd.X86.FMA() {
		axpy, dot, dotAxpy, adam = axpySIMD, dotSIMD, dotAxpySIMD, adamSIMD
	}
}

func load(x []float32) archsimd.Float32x8 { return archsimd.LoadFloat32x8((*[8]float32)(x)) }

func axpySIMD(a float32, x, y []float32) {
	va := archsimd.BroadcastFloat32x8(a)
	for len(x) >= 32 && len(y) >= 32 {
		p, q := (*[32]float32)(x), (*[32]float32)(y)
		load(p[0:8]).MulAdd(va, load(q[0:8])).Store((*[8]float32)(q[0:8]))
		load(p[8:16]).MulAdd(va, load(q[8:16])).Store((*[8]float32)(q[8:16]))
		load(p[16:24]).MulAdd(va, load(q[16:24])).Store((*[8]float32)(q[16:24]))
		load(p[24:32]).MulAdd(va, load(q[24:32])).Store((*[8]float32)(q[24:32]))
		x, y = x[32:], y[32:]
	}
	axpyPlain(a, x, y)
}

func sum4(a, b, c, d archsimd.Float32x8) float32 {
	var s [8]float32
	a.Add(b).Add(c.Add(d)).Store(&s)
	return (s[0] + s[4]) + (s[1] + s[5]) + (s[2] + s[6]) + (s[3] + s[7])
}

func dotSIMD(x, y []float32) float32 {
	var a, b, c, d archsimd.Float32x8
	for len(x) >= 32 && len(y) >= 32 {
		p, q := (*[32]float32)(x), (*[32]float32)(y)
		a = load(p[0:8]).MulAdd(load(q[0:8]), a)
		b = load(p[8:16]).MulAdd(load(q[8:16]), b)
		c = load(p[16:24]).MulAdd(load(q[16:24]), c)
		d = load(p[24:32]).MulAdd(load(q[24:32]), d)
		x, y = x[32:], y[32:]
	}
	return sum4(a, b, c, d) + dotPlain(x, y)
}

func dotAxpySIMD(f float32, x, w, y []float32) float32 {
	var a, b, c, d archsimd.Float32x8
	vf := archsimd.BroadcastFloat32x8(f)
	for len(x) >= 32 && len(y) >= 32 && len(w) >= 32 {
		p, q, r := (*[32]float32)(x), (*[32]float32)(y), (*[32]float32)(w)
		v0, v1, v2, v3 := load(p[0:8]), load(p[8:16]), load(p[16:24]), load(p[24:32])
		a = v0.MulAdd(load(r[0:8]), a)
		b = v1.MulAdd(load(r[8:16]), b)
		c = v2.MulAdd(load(r[16:24]), c)
		d = v3.MulAdd(load(r[24:32]), d)
		v0.MulAdd(vf, load(q[0:8])).Store((*[8]float32)(q[0:8]))
		v1.MulAdd(vf, load(q[8:16])).Store((*[8]float32)(q[8:16]))
		v2.MulAdd(vf, load(q[16:24])).Store((*[8]float32)(q[16:24]))
		v3.MulAdd(vf, load(q[24:32])).Store((*[8]float32)(q[24:32]))
		x, y, w = x[32:], y[32:], w[32:]
	}
	return sum4(a, b, c, d) + dotAxpyPlain(f, x, w, y)
}

func adamSIMD(s AdamStep, w, m, v, g []float32) {
	all := archsimd.BroadcastFloat32x8
	b1, c1, b2, c2 := all(s.Beta1), all(1-s.Beta1), all(s.Beta2), all(1-s.Beta2)
	rate, eps, factor := all(s.Rate), all(s.Epsilon), all(s.Factor)
	for len(w) >= 8 && len(m) >= 8 && len(v) >= 8 && len(g) >= 8 {
		d := load(g).Mul(factor)
		nm := load(m).Mul(b1).Add(d.Mul(c1))
		nv := load(v).Mul(b2).Add(d.Mul(d).Mul(c2))
		nm.Store((*[8]float32)(m))
		nv.Store((*[8]float32)(v))
		load(w).Sub(nm.Mul(rate).Div(nv.Sqrt().Add(eps))).Store((*[8]float32)(w))
		w, m, v, g = w[8:], m[8:], v[8:], g[8:]
	}
	adamPlain(s, w, m, v, g)
}
