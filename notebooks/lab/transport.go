package lab

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// dialLimit is how long the engine may take to accept.
const dialLimit = 2 * time.Second

// request sends one request to the engine and returns the body of its answer, which ends
// when the engine has said all. Closing it, or ending ctx, hangs up, and that cancels
// the call.
//
// It is HTTP/1.0, one call to a connection, written by hand: net/http brings TLS and
// certificates along, which every cell would have to link, a third of its time.
func (p place) request(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	conn, err := (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "unix", p.socket)
	if err != nil {
		return nil, err
	}
	a := &answer{conn: conn, stop: context.AfterFunc(ctx, func() { conn.Close() })}
	var head bytes.Buffer
	fmt.Fprintf(&head, "%s %s HTTP/1.0\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", method, path, len(body))
	if _, err := conn.Write(append(head.Bytes(), body...)); err != nil {
		a.Close()
		return nil, err
	}
	a.body = bufio.NewReader(conn)
	for line := 0; ; line++ {
		text, err := a.body.ReadString('\n')
		switch text = strings.TrimRight(text, "\r\n"); {
		case err != nil:
			a.Close()
			return nil, fmt.Errorf("lab: the engine hung up: %w", err)
		case line == 0 && !strings.HasPrefix(text, "HTTP/1."):
			a.Close()
			return nil, fmt.Errorf("lab: %.40q is not what an engine answers", text)
		case line > 0 && text == "":
			return a, nil
		}
	}
}

// answer is the body of an answer.
type answer struct {
	conn net.Conn
	body *bufio.Reader
	stop func() bool
}

func (a *answer) Read(b []byte) (int, error) { return a.body.Read(b) }

func (a *answer) Close() error {
	a.stop()
	return a.conn.Close()
}
