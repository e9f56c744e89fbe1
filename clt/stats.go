package clt

// Stats are the scales of the space of training, by layer: activations times
// their scale have a mean norm of sqrt(d_model).
type Stats struct {
	ScaleIn  []float64   `json:"scale_in"`  // [layer] sqrt(d)/mean norm of what is read
	ScaleOut []float64   `json:"scale_out"` // [layer] sqrt(d)/mean norm of the MLP output
	MeanOut  [][]float32 `json:"-"`         // [layer][d_model] mean MLP output, raw
	Tokens   int         `json:"tokens"`    // tokens they were measured on
}
