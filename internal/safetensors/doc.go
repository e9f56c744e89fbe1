// Package safetensors reads and writes the safetensors format: an 8-byte little-endian header length, a JSON header
//
//	{"__metadata__": {text: text}, name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
//
// and the tensors' bytes, little-endian and row-major, without holes. Every header is checked completely before a
// tensor can be read, so that a damaged or hostile file gives one clear error and allocates no more than its own size.
// Values are not looked at: a NaN is a value.
//
// View maps a tensor's pages into memory for as long as they are looked at, on Unix; everything else reads into memory of
// its own, so that no slice outlives its file and a file that changes later changes nothing.
package safetensors
