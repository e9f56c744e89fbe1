package clt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/etredal/cross-layer-transcoder/internal/safetensors"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is over the data of the tensors in their order.
func checksum(list []safetensors.Tensor) string {
	sum := uint32(0)
	for _, t := range list {
		sum = crc32.Update(sum, castagnoli, t.Data)
	}
	return fmt.Sprintf("%08x", sum)
}

// packActivations codes [tokens, d_model] and returns it also as it will be read.
func packActivations(name string, v []float32, k CacheKey) ([]safetensors.Tensor, []float32, error) {
	tokens := len(v) / k.DModel
	shape := []int{tokens, k.DModel}
	switch k.DType {
	case CacheFloat32:
		return []safetensors.Tensor{safetensors.F32(name, shape, v)}, v, nil
	case CacheBFloat16:
		data, out := make([]byte, 2*len(v)), make([]float32, len(v))
		for i, x := range v {
			h := toBFloat16(x)
			binary.LittleEndian.PutUint16(data[2*i:], h)
			out[i] = fromBFloat16(h)
		}
		return []safetensors.Tensor{{Name: name, DType: "BF16", Shape: shape, Data: data}}, out, nil
	}
	data, scales := make([]byte, len(v)), make([]float32, tokens)
	for t := range tokens {
		row := v[t*k.DModel:][:k.DModel]
		largest := float32(0)
		for _, x := range row {
			if a := float32(math.Abs(float64(x))); a > largest || a != a {
				largest = a
			}
		}
		if !(largest <= math.MaxFloat32) {
			return nil, nil, fmt.Errorf("an activation is %g, which int8 has no room for; check the model, or store float32", largest)
		}
		if scales[t] = largest / 127; scales[t] == 0 {
			continue // all zero, or too small for a scale
		}
		for i, x := range row {
			data[t*k.DModel+i] = byte(int8(max(-127, min(127, math.RoundToEven(float64(x)/float64(scales[t]))))))
		}
	}
	return []safetensors.Tensor{{Name: name, DType: "I8", Shape: shape, Data: data}, safetensors.F32(name+".scale", []int{tokens}, scales)},
		fromInt8(data, scales, k.DModel), nil
}

// unpackActivations reads what packActivations wrote; the tensors are for the checksum.
func unpackActivations(f *safetensors.File, name string, k CacheKey, tokens int) ([]safetensors.Tensor, []float32, error) {
	dtype := map[string]string{CacheFloat32: "F32", CacheBFloat16: "BF16", CacheInt8: "I8"}[k.DType]
	info, ok := f.Info(name)
	if !ok || info.DType != dtype || len(info.Shape) != 2 || info.Shape[0] != tokens || info.Shape[1] != k.DModel {
		return nil, nil, fmt.Errorf("%s is %s%v, should be %s[%d %d]", name, info.DType, info.Shape, dtype, tokens, k.DModel)
	}
	data, err := f.Bytes(name)
	if err != nil {
		return nil, nil, err
	}
	list := []safetensors.Tensor{{Name: name, Data: data}}
	out := make([]float32, tokens*k.DModel)
	switch k.DType {
	case CacheFloat32:
		for i := range out {
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	case CacheBFloat16:
		for i := range out {
			out[i] = fromBFloat16(binary.LittleEndian.Uint16(data[2*i:]))
		}
	default:
		raw, err := f.Bytes(name + ".scale")
		if err != nil {
			return nil, nil, err
		}
		scales, err := f.Float32(name + ".scale")
		if err != nil {
			return nil, nil, err
		}
		if len(scales) != tokens {
			return nil, nil, fmt.Errorf("%s has %d scales, should have %d", name, len(scales), tokens)
		}
		list = append(list, safetensors.Tensor{Data: raw})
		out = fromInt8(data, scales, k.DModel)
	}
	return list, out, nil
}

func fromInt8(data []byte, scales []float32, d int) []float32 {
	out := make([]float32, len(data))
	for i, x := range data {
		out[i] = float32(int8(x)) * scales[i/d]
	}
	return out
}

// toBFloat16 rounds to the nearest, ties to even; NaN stays NaN.
func toBFloat16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7FFF + b>>16&1) >> 16)
}

func fromBFloat16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }
