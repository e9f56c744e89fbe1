package gpt2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// breakage is an error after which another try makes sense.
type breakage struct{ error }

func (e breakage) Unwrap() error { return e.error }

// progressBytes is what a try must bring so that the tries are counted anew: a server that sends a byte and hangs up,
// each time, is given up.
const progressBytes = 64 << 10

// transfer fills the part file, over as many connections as it takes. before is what f.now.Bytes was without it.
func (f *fetcher) transfer(ctx context.Context, url, part string, file hubFile, before int64) error {
	out, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	for try := 0; ; try++ {
		came, err := f.connection(ctx, url, out, file, before)
		if err == nil {
			return out.Sync()
		}
		var again breakage
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.As(err, &again) {
			return err
		}
		if came >= progressBytes {
			try = 0
		}
		if try >= f.cfg.Retries {
			return fmt.Errorf("%w; what came is kept, fetch it again to go on", err)
		}
		if err := f.pause(ctx, try, err); err != nil {
			return err
		}
	}
}

// connection asks once for what is missing and appends it. It returns how much came.
func (f *fetcher) connection(ctx context.Context, url string, out *os.File, file hubFile, before int64) (int64, error) {
	at, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	if file.size >= 0 && at > file.size {
		at = 0
		if err := restart(out); err != nil {
			return 0, err
		}
	}
	if f.now.Bytes = before + at; at == file.size {
		return 0, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	if f.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+f.cfg.Token)
	}
	if at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", at))
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return 0, breakage{err}
	}
	defer resp.Body.Close()
	from, err := begin(resp, at, file)
	if from < at {
		if rerr := restart(out); rerr != nil {
			return 0, rerr
		}
		f.now.Bytes = before
	}
	if err != nil {
		return 0, err
	}
	return f.copy(ctx, resp.Body, out, file, from, func() { cancel(errStalled) })
}

var errStalled = errors.New("nothing came for a while")

// restart empties the part file.
func restart(out *os.File) error {
	if err := out.Truncate(0); err != nil {
		return err
	}
	_, err := out.Seek(0, io.SeekStart)
	return err
}

// begin reads the head of an answer to a request for the bytes from at: where in the file its body begins. It is 0, with
// an error or not, when what is there already is of no use.
func begin(resp *http.Response, at int64, file hubFile) (int64, error) {
	switch code := resp.StatusCode; {
	case code == http.StatusPartialContent && at > 0:
		var from, to int64
		var total string
		if n, _ := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%s", &from, &to, &total); n != 3 || from != at || to < from {
			return 0, breakage{fmt.Errorf("asked for the bytes from %d, the hub sends %q", at, resp.Header.Get("Content-Range"))}
		}
		if n, err := strconv.ParseInt(total, 10, 64); err == nil && file.size >= 0 && n != file.size {
			return 0, fmt.Errorf("the hub's file has %d bytes, its list says %d; fetch it again later", n, file.size)
		}
	case code == http.StatusOK:
		at = 0
	case code == http.StatusRequestedRangeNotSatisfiable:
		return 0, breakage{errors.New("the hub does not have the rest")}
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return at, fmt.Errorf("the hub says %q; a token is needed, or another one", resp.Status)
	case code == http.StatusTooManyRequests, code >= 500, code == http.StatusRequestTimeout:
		return at, breakage{fmt.Errorf("the hub says %q", resp.Status)}
	default:
		return at, fmt.Errorf("the hub says %q; check the name, or fetch it again later", resp.Status)
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return 0, fmt.Errorf("the hub sends it as %q though asked not to; check the endpoint", enc)
	}
	if n := resp.ContentLength; n >= 0 && file.size >= 0 && at+n > file.size {
		return 0, fmt.Errorf("the hub sends %d bytes, its list says %d; check the endpoint", at+n, file.size)
	}
	return at, nil
}

// copy appends the body to the part file and calls stalled when it stops coming.
func (f *fetcher) copy(ctx context.Context, body io.Reader, out *os.File, file hubFile, at int64, stalled func()) (came int64, err error) {
	watch := time.AfterFunc(f.cfg.Stall, stalled)
	defer watch.Stop()
	buf := make([]byte, 256<<10)
	for {
		n, rerr := body.Read(buf)
		if n > 0 {
			watch.Reset(f.cfg.Stall)
			if file.size >= 0 && at+int64(n) > file.size {
				_ = restart(out)
				return 0, fmt.Errorf("the hub sends more than the %d bytes of its list; check the endpoint", file.size)
			}
			if _, err := out.Write(buf[:n]); err != nil {
				return came, fmt.Errorf("%w; is the disk full?", err)
			}
			at, came = at+int64(n), came+int64(n)
			f.downloaded += int64(n)
			f.now.Bytes += int64(n)
			f.tell(false)
		}
		switch {
		case rerr == io.EOF && file.size >= 0 && at < file.size:
			return came, breakage{fmt.Errorf("the connection ended after %d of %d bytes", at, file.size)}
		case rerr == io.EOF:
			return came, nil
		case context.Cause(ctx) == errStalled:
			return came, breakage{fmt.Errorf("nothing came for %v after %d bytes", f.cfg.Stall, at)}
		case rerr != nil:
			return came, breakage{fmt.Errorf("the connection broke after %d bytes: %w", at, rerr)}
		}
	}
}
