package main

import (
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
	"github.com/etredal/cross-layer-transcoder/internal/backend"
	"github.com/etredal/cross-layer-transcoder/internal/engine"
	"github.com/etredal/cross-layer-transcoder/internal/strictjson"
)

// tokenizeVerb needs no model and no backend: the tokenizer alone.
func tokenizeVerb(f *flag.FlagSet) func(c *call) error {
	model := f.String("model", "pocket", "`model`: pocket, gpt2 (built in), or a folder with a tokenizer")
	lines := f.Bool("jsonl", false, `read lines {"text":s} or {"bytes_b64":s}, optionally "allow_special":true, from stdin`)
	decode := f.Bool("decode", false, `the other way: arguments are ids 1,2,3; with -jsonl lines {"ids":[...]}`)
	raw := f.Bool("raw", false, "keep bytes that are not UTF-8; without it each broken part counts as one U+FFFD, as in the reference implementations")
	special := f.Bool("allow-special", false, "take the text <|endoftext|> as the special token")
	asJSON := f.Bool("json", false, "one JSON value: a list if there are several texts")
	return func(c *call) error {
		switch {
		case *lines && len(c.args) > 0:
			return badCall("%q is not expected with -jsonl; texts come from stdin", c.args[0])
		case !*lines && len(c.args) == 0:
			return badCall("no text; give texts as arguments, or lines on stdin with -jsonl")
		}
		t, err := openTokenizer(*model)
		if err != nil {
			return err
		}
		j := tokenJob{t: t, decode: *decode, special: *special, raw: *raw}
		if *lines {
			return j.stream(c.ctx, c.in, c.out)
		}
		list := *asJSON && len(c.args) > 1
		for i, text := range c.args {
			line, err := j.argument(nil, text)
			if err != nil {
				return err
			}
			if list {
				line = append([]byte{",["[b2i(i == 0)]}, line...)
			}
			c.out.Write(line)
			if !list {
				c.out.WriteByte('\n')
			}
		}
		if list {
			c.printf("]\n")
		}
		return nil
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// openTokenizer finds the tokenizer of a model without opening the model. GPT-2's
// is built in: a folder of that name is not looked for.
func openTokenizer(name string) (*tokenizer.Tokenizer, error) {
	switch name {
	case pocket.Name:
		return embeddedTokenizer()
	case "gpt2":
		return tokenizer.GPT2(), nil
	}
	dir, err := engine.FindModel(name)
	if err != nil {
		return nil, usageError{err}
	}
	return tokenizer.Load(dir)
}

// embeddedTokenizer is that of the pocket model, which is small enough to be
// opened whole.
func embeddedTokenizer() (*tokenizer.Tokenizer, error) {
	b, _, err := backend.Open("go")
	if err != nil {
		return nil, err
	}
	defer b.Finalize()
	m, err := pocket.Open(b, gpt2.LoadOptions{})
	if err != nil {
		return nil, err
	}
	return m.Tokenizer, nil
}

// tokenJob turns one text into a line, or ids back into text.
type tokenJob struct {
	t                    *tokenizer.Tokenizer
	decode, special, raw bool
}

// tokenLine is one line of input.
type tokenLine struct {
	Text    *string  `json:"text"`
	Bytes   *string  `json:"bytes_b64"`
	Special bool     `json:"allow_special"`
	IDs     *[]int32 `json:"ids"`
}

// argument appends the answer to a text, or to ids, from the command line.
func (j tokenJob) argument(dst []byte, text string) ([]byte, error) {
	if !j.decode {
		return j.encoded(dst, text, j.special), nil
	}
	ids, err := parseIDs(text)
	if err != nil {
		return dst, badCall("%w; give ids as 1,2,3", err)
	}
	return j.decoded(dst, ids)
}

// line appends the answer to one line of JSON.
func (j tokenJob) line(dst, raw []byte) ([]byte, error) {
	var l tokenLine
	if err := strictjson.Unmarshal(raw, 1, &l); err != nil {
		return dst, fmt.Errorf("%w; give one JSON object a line", err)
	}
	if j.decode {
		if l.IDs == nil {
			return dst, fmt.Errorf(`no "ids"; give {"ids":[1,2,3]}`)
		}
		return j.decoded(dst, *l.IDs)
	}
	switch {
	case l.Text != nil && l.Bytes == nil:
		return j.encoded(dst, *l.Text, j.special || l.Special), nil
	case l.Bytes != nil && l.Text == nil:
		b, err := base64.StdEncoding.DecodeString(*l.Bytes)
		if err != nil {
			return dst, fmt.Errorf("bytes_b64: %w; give standard base64", err)
		}
		return j.encoded(dst, string(b), j.special || l.Special), nil
	}
	return dst, fmt.Errorf(`neither or both of "text" and "bytes_b64"; give one`)
}

// encode gives ids and byte offsets into the text as it was given.
func (j tokenJob) encode(text string, special bool) ([]int32, [][2]int) {
	if j.raw || utf8.ValidString(text) {
		return j.t.EncodeOffsets(text, special)
	}
	ids, offsets := j.t.EncodeOffsets(tokenizer.Valid(text), special)
	place := places(text)
	for i, o := range offsets {
		offsets[i] = [2]int{place[o[0]], place[o[1]]}
	}
	return ids, offsets
}

// places is, for each byte of Valid(text) and for its end, where that is in text.
func places(text string) []int {
	var place []int
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r != utf8.RuneError || n > 1 {
			for k := range n {
				place = append(place, i+k)
			}
			i += n
			continue
		}
		for i+n < len(text) && tokenizer.Valid(text[i:i+n+1]) == "\uFFFD" {
			n++
		}
		place = append(place, i, min(i+1, i+n), min(i+2, i+n))
		i += n
	}
	return append(place, len(text))
}

// encoded appends {"ids":[...],"offsets":[[a,b],...]}; offsets are bytes.
func (j tokenJob) encoded(dst []byte, text string, special bool) []byte {
	ids, offsets := j.encode(text, special)
	dst = append(dst, `{"ids":[`...)
	for i, id := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendInt(dst, int64(id), 10)
	}
	dst = append(dst, `],"offsets":[`...)
	for i, o := range offsets {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, '[')
		dst = strconv.AppendInt(dst, int64(o[0]), 10)
		dst = append(dst, ',')
		dst = strconv.AppendInt(dst, int64(o[1]), 10)
		dst = append(dst, ']')
	}
	return append(dst, "]}"...)
}

// decoded appends {"text":s,"bytes_b64":s}: what is not UTF-8 shows as U+FFFD in
// the text and is exact in the bytes.
func (j tokenJob) decoded(dst []byte, ids []int32) ([]byte, error) {
	for _, id := range ids {
		if id < 0 || int(id) >= j.t.Size() {
			return dst, badCall("token id %d is outside the vocabulary; ids are 0 to %d", id, j.t.Size()-1)
		}
	}
	b := j.t.Decode(ids)
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(tokenizer.Valid(string(b))); err != nil {
		return dst, err
	}
	dst = append(dst, `{"text":`...)
	dst = append(dst, strings.TrimSuffix(text.String(), "\n")...)
	dst = append(dst, `,"bytes_b64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, b)
	return append(dst, `"}`...), nil
}
