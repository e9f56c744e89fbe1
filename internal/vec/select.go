package vec

// Largest returns the k-th largest of the values, k from 1 on; it reorders them.
func Largest(v []float32, k int) float32 {
	lo, hi, at := 0, len(v)-1, k-1
	for lo < hi {
		pivot := middle(v[lo], v[(lo+hi)/2], v[hi])
		i, j := lo, hi
		for i <= j {
			for v[i] > pivot {
				i++
			}
			for v[j] < pivot {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i++
				j--
			}
		}
		switch {
		case at <= j:
			hi = j
		case at >= i:
			lo = i
		default:
			return v[at]
		}
	}
	return v[at]
}

func middle(a, b, c float32) float32 { return max(min(a, b), min(max(a, b), c)) }
