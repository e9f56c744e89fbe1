//go:build unix && !aix && !solaris && !illumos

package safetensors

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapTensor maps the pages of a tensor, or returns nil where the file is none of the
// operating system's, is shorter than it was, or cannot be mapped: it is read then.
func (f *File) mapTensor(info Info) *mapped {
	file, ok := f.reader.(*os.File)
	if !ok || info.End == info.Begin {
		return nil
	}
	begin, end := f.header.data+info.Begin, f.header.data+info.End
	if now, err := file.Stat(); err != nil || now.Size() < end {
		return nil
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil
	}
	start := begin / int64(os.Getpagesize()) * int64(os.Getpagesize())
	var pages []byte
	if cerr := raw.Control(func(fd uintptr) {
		pages, err = unix.Mmap(int(fd), start, int(end-start), unix.PROT_READ, unix.MAP_SHARED)
	}); cerr != nil || err != nil {
		return nil
	}
	_ = unix.Madvise(pages, unix.MADV_SEQUENTIAL)
	return &mapped{pages: pages, bytes: pages[begin-start : end-start : end-start]}
}

func (m *mapped) unmap() { _ = unix.Munmap(m.pages) }
