package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// talker answers one connection on a socket as told.
func talker(t *testing.T, talk func(net.Conn)) place {
	t.Helper()
	dir, err := os.MkdirTemp("", "lab") // t.TempDir is too long for a socket on some systems
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := place{socket: filepath.Join(dir, "s")}
	l, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		talk(c)
	}()
	return p
}

func readRequest(c net.Conn) string {
	b := make([]byte, 4096)
	n, _ := c.Read(b)
	return string(b[:n])
}

func TestRequest(t *testing.T) {
	asked := make(chan string, 1)
	p := talker(t, func(c net.Conn) {
		asked <- readRequest(c)
		io.WriteString(c, "HTTP/1.0 200 OK\r\nContent-Type: x\r\n\r\none\ntwo\n")
	})
	a, err := p.request(context.Background(), "POST", "/verb/x", []byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if b, err := io.ReadAll(a); string(b) != "one\ntwo\n" || err != nil {
		t.Errorf("body %q, %v", b, err)
	}
	if r := <-asked; !strings.HasPrefix(r, "POST /verb/x HTTP/1.0\r\n") || !strings.Contains(r, "\r\nContent-Length: 7\r\n") || !strings.HasSuffix(r, "\r\n\r\n{\"a\":1}") {
		t.Errorf("asked %q", r)
	}
}

// What answers is no engine, or stops in the middle of its head: an error, no hanging.
func TestRequestToSomebodyElse(t *testing.T) {
	for name, said := range map[string]string{"another protocol": "220 mail.example ESMTP\r\n", "nothing": "", "half a head": "HTTP/1.0 200 OK\r\nContent-"} {
		t.Run(name, func(t *testing.T) {
			p := talker(t, func(c net.Conn) { readRequest(c); io.WriteString(c, said) })
			if _, err := p.request(context.Background(), "GET", "/state", nil); err == nil {
				t.Error("no error")
			}
		})
	}
	p := place{socket: filepath.Join(t.TempDir(), "none")}
	if _, err := p.request(context.Background(), "GET", "/state", nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
}

// The stop button hangs up at once, while waiting for the head and while reading.
func TestRequestCancelled(t *testing.T) {
	for name, head := range map[string]string{"before the head": "", "in the body": "HTTP/1.0 200 OK\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			hungUp := make(chan struct{})
			p := talker(t, func(c net.Conn) {
				readRequest(c)
				io.WriteString(c, head)
				io.Copy(io.Discard, c) // until the other side is gone
				close(hungUp)
			})
			ctx, cancel := context.WithCancel(context.Background())
			time.AfterFunc(20*time.Millisecond, cancel)
			a, err := p.request(ctx, "GET", "/state", nil)
			if err == nil {
				_, err = io.ReadAll(a)
				a.Close()
			}
			if err == nil {
				t.Error("no error")
			}
			select {
			case <-hungUp:
			case <-time.After(5 * time.Second):
				t.Error("the connection stays open")
			}
		})
	}
}
