package safetensors

import (
	"errors"
	"io/fs"
	"runtime"
	"runtime/debug"
	"unsafe"
)

// View gives a tensor's values to use, as Float32 would return them, without a copy
// where the file can be mapped into memory and stores float32. They may not be
// changed, and not be kept: when use has returned their memory is given back. What
// use returns, View returns.
//
// Pages of the mapping are read while use looks at them. If another program cuts the
// file off in that time, use is abandoned where it stands and View returns an error,
// as it does afterwards if the file was written to; that holds for what use does on
// the calling goroutine and in Go, so that a computation elsewhere, or C code, must be
// given a copy.
func (f *File) View(name string, use func(v []float32) error) error {
	return view1(f, name, use, func(f *File, info Info, raw []byte) ([]float32, error) {
		if info.DType == "F32" && !bigEndian && aligned(raw, 4) {
			return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(raw))), len(raw)/4), nil
		}
		return toFloat32(f, info, raw)
	})
}

// View64 is View in float64, as Float64 would return the values.
func (f *File) View64(name string, use func(v []float64) error) error {
	return view1(f, name, use, func(f *File, info Info, raw []byte) ([]float64, error) {
		if info.DType == "F64" && !bigEndian && aligned(raw, 8) {
			return unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(raw))), len(raw)/8), nil
		}
		return toFloat64(f, info, raw)
	})
}

// view1 maps the tensor for as long as use runs, or reads it where that cannot be.
func view1[T float32 | float64](f *File, name string, use func([]T) error, values func(*File, Info, []byte) ([]T, error)) error {
	info, err := f.find(name)
	if err != nil {
		return err
	}
	run := func(raw []byte) error {
		v, err := values(f, info, raw)
		if err != nil {
			return err
		}
		return use(v)
	}
	if m := f.mapTensor(info); m != nil {
		defer m.unmap()
		err := f.guard(info, m, func() error { return run(m.bytes) })
		if err == nil {
			err = f.unchanged(info)
		}
		return err
	}
	raw, err := f.slice(info, info.Begin, info.End)
	if err != nil {
		return err
	}
	return run(raw)
}

// mapped is a part of a file in memory, read-only.
type mapped struct {
	pages []byte // whole pages
	bytes []byte // the part asked for
}

// guard runs use, whose reads of the mapping may fault: a fault there is an error,
// any other panic goes on.
func (f *File) guard(info Info, m *mapped, use func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		var fault interface {
			runtime.Error
			Addr() uintptr
		}
		cause, _ := r.(error)
		if !errors.As(cause, &fault) || !m.contains(fault.Addr()) {
			panic(r)
		}
		if err = f.unchanged(info); err == nil {
			err = f.errorf(info.Name, "its bytes could not be read; the disk fails")
		}
	}()
	return use()
}

// unchanged compares the file with what it was when it was opened. A mapping shows
// what is written into the file, and zeros behind its end on the last page.
func (f *File) unchanged(info Info) error {
	file, ok := f.reader.(fs.File)
	if !ok {
		return nil
	}
	now, err := file.Stat()
	switch {
	case err != nil:
		return f.errorf(info.Name, "%w; the disk fails", err)
	case now.Size() != f.stat.Size():
		return f.errorf(info.Name, "the file had %d bytes when it was opened and has %d now; let the other program finish, and load it again", f.stat.Size(), now.Size())
	case !now.ModTime().Equal(f.stat.ModTime()):
		return f.errorf(info.Name, "the file was written to while it was read; let the other program finish, and load it again")
	}
	return nil
}

func (m *mapped) contains(addr uintptr) bool {
	base := uintptr(unsafe.Pointer(unsafe.SliceData(m.pages)))
	return addr >= base && addr-base < uintptr(len(m.pages))
}

func aligned(b []byte, size uintptr) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))%size == 0
}
