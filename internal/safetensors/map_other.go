//go:build !unix || aix || solaris || illumos

package safetensors

// mapTensor says that tensors are read, not mapped.
func (f *File) mapTensor(Info) *mapped { return nil }

func (m *mapped) unmap() {}
