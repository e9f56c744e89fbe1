package corpus

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"

	"github.com/etredal/cross-layer-transcoder/gpt2/tokenizer"
)

// write puts a file into a folder and returns its path.
func write(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(data)
	z.Close()
	return b.Bytes()
}

func zstded(data []byte) []byte {
	z, _ := zstd.NewWriter(nil)
	return z.EncodeAll(data, nil)
}

type row struct {
	ID      int64   `parquet:"id"`
	Text    *string `parquet:"text,optional,snappy"`
	Content string  `parquet:"content,zstd,dict"`
	Meta    struct {
		Body string `parquet:"body"`
	} `parquet:"meta"`
	Tags []string `parquet:"tags,list"`
}

// parquetFile has groups of so many rows.
func parquetFile(rows []row, group int64) []byte {
	var b bytes.Buffer
	w := parquet.NewGenericWriter[row](&b, parquet.MaxRowsPerRowGroup(group))
	if _, err := w.Write(rows); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func someRows(n int) []row {
	rows := make([]row, n)
	for i := range rows {
		text := fmt.Sprintf("text %d", i)
		rows[i] = row{ID: int64(i), Text: &text, Content: fmt.Sprintf("content %d", i%7)}
		rows[i].Meta.Body = fmt.Sprintf("body %d", i)
		if i%5 == 4 {
			rows[i].Text = nil
		}
	}
	return rows
}

// texts reads everything, parts joined.
func texts(sources ...string) ([]string, error) {
	c, err := Open(sources...)
	if err != nil {
		return nil, err
	}
	var out []string
	more := false
	for t, err := range c.Texts(context.Background()) {
		if err != nil {
			return out, err
		}
		if more {
			out[len(out)-1] += t.Text
		} else {
			out = append(out, t.Text)
		}
		more = t.More
	}
	return out, nil
}

func TestFormats(t *testing.T) {
	dir := t.TempDir()
	plain := []byte("One line.\nZwei Zeilen – ünd mehr.\n")
	lines := []byte("{\"text\":\"a\\nb\",\"body\":{\"x\":\"deep\"}}\n\n{\"text\":\"c é\",\"body\":{\"x\":\"er\"}}")
	table := parquetFile(someRows(9), 4)
	for _, x := range []struct {
		name string
		data []byte
		spec string
		want []string
	}{
		{"a.txt", plain, "", []string{string(plain)}},
		{"bom.txt", append([]byte("\xEF\xBB\xBF"), plain...), "", []string{string(plain)}},
		{"a.txt.gz", gzipped(plain), "", []string{string(plain)}},
		{"two.txt.gz", append(gzipped(plain), gzipped(plain)...), "", []string{string(plain) + string(plain)}},
		{"a.txt.zst", zstded(plain), "", []string{string(plain)}},
		{"none.txt", nil, "", []string{""}},
		{"a.jsonl", lines, "", []string{"a\nb", "c é"}},
		{"b.JSONL.gz", gzipped(lines), "", []string{"a\nb", "c é"}},
		{"c.json", lines, "#body.x", []string{"deep", "er"}},
		{"a.parquet", table, "", []string{"text 0", "text 1", "text 2", "text 3", "text 5", "text 6", "text 7", "text 8"}},
		{"b.parquet", table, "#meta.body", []string{"body 0", "body 1", "body 2", "body 3", "body 4", "body 5", "body 6", "body 7", "body 8"}},
		{"c.parquet", table, "#content", []string{"content 0", "content 1", "content 2", "content 3", "content 4", "content 5", "content 6", "content 0", "content 1"}},
		{"odd#name.txt", plain, "", []string{string(plain)}},
	} {
		got, err := texts(write(t, dir, x.name, x.data) + x.spec)
		if err != nil || !slices.Equal(got, x.want) {
			t.Errorf("%s%s gives %q, %v; want %q", x.name, x.spec, got, err, x.want)
		}
	}
}

func TestFoldersAndPatterns(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.txt", "a.txt", "sub/c.jsonl", ".hidden/d.txt", ".e.txt", "model.bin", "config.json"} {
		data := name
		if strings.HasSuffix(name, ".jsonl") {
			data = `{"text":"` + name + `"}`
		}
		write(t, dir, name, []byte(data))
	}
	write(t, dir, "empty/.keep", nil)
	write(t, dir, "others/x.bin", nil)
	for want, specs := range map[string][]string{
		"a.txt b.txt sub/c.jsonl": {dir},
		"a.txt b.txt":             {filepath.Join(dir, "*.txt")},
		"b.txt a.txt b.txt":       {filepath.Join(dir, "b.txt"), filepath.Join(dir, "?.txt")},
	} {
		got, err := texts(specs...)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q gives %q, %v; want %q", specs, got, err, want)
		}
	}
	for spec, want := range map[string]string{
		filepath.Join(dir, "empty"):     "is empty; name a folder with texts",
		filepath.Join(dir, "others"):    "has x.bin, but no txt, jsonl or parquet",
		filepath.Join(dir, "*.parquet"): "no file is named like",
		filepath.Join(dir, "nowhere"):   "check the path",
		filepath.Join(dir, "a[.txt"):    "cannot be read",
		"#text":                         "names no file",
	} {
		if _, err := Open(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", spec, err, want)
		}
	}
	if _, err := Open(); err == nil {
		t.Error("no source is not refused")
	}
}

// Bad input names the file and the line or row, and what to do.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	long := bytes.Repeat([]byte("word word\n"), 300000)
	bad := append(bytes.Clone(long), "caf\xE9 at the end\n"...)
	table := parquetFile(someRows(2000), 500)
	flipped := bytes.Clone(table)
	for i := 200; i < len(flipped)*3/4; i++ {
		flipped[i] ^= 0x5A
	}
	latin := parquetFile([]row{{Content: "fine"}, {Content: "caf\xE9"}}, 10)
	for _, x := range []struct {
		name string
		data []byte
		spec string
		want []string
	}{
		{"mixed.txt", []byte("fine\nfine\ncaf\xE9\n"), "", []string{"mixed.txt line 3 is not UTF-8", "iconv"}},
		{"late.txt", bad, "", []string{"late.txt line 300001 is not UTF-8"}},
		{"late.txt.gz", gzipped(bad), "", []string{"late.txt.gz line 300001 is not UTF-8"}},
		{"wide.txt", []byte("\xFF\xFEa\x00"), "", []string{"UTF-16"}},
		{"half.txt", append([]byte("x "), 0xE2, 0x82), "", []string{"half.txt line 1 is not UTF-8"}},
		{"packed.txt", gzipped(long), "", []string{"end its name in .gz"}},
		{"cut.txt.gz", gzipped(long)[:4000], "", []string{"cut.txt.gz ends in the middle, after line ", "cut short"}},
		{"cut.jsonl.gz", gzipped(bytes.Repeat([]byte("{\"text\":\"abc\"}\n"), 99999))[:900], "", []string{"ends in the middle, after line "}},
		{"cut.txt.zst", zstded(long)[:200], "", []string{"cut.txt.zst"}},
		{"not.txt.gz", []byte("plain"), "", []string{"is not gzip"}},
		{"sum.txt.gz", func() []byte { b := gzipped(long); b[len(b)-6] ^= 1; return b }(), "", []string{"damaged"}},
		{"broken.jsonl", []byte("{\"text\":\"a\"}\n{\"text\":\n"), "", []string{"broken.jsonl line 2 is no JSON object"}},
		{"missing.jsonl", []byte("{\"text\":\"a\"}\n{\"body\":\"b\",\"id\":1}\n"), "", []string{`line 2 has no field "text", it has body, id`}},
		{"number.jsonl", []byte("{\"text\":3}\n"), "", []string{`its field "text" is no text`}},
		{"null.jsonl", []byte("{\"text\":null}\n"), "", []string{"is no text"}},
		{"latin.jsonl", []byte("{\"text\":\"ok\"}\n{\"text\":\"caf\xE9\"}\n"), "", []string{"latin.jsonl line 2 is not UTF-8"}},
		{"array.json", []byte("[{\"text\":\"a\"}]"), "", []string{"jq -c"}},
		{"other.parquet", table, "#body", []string{`no column "body", it has id, text, content, meta.body, tags.list.element`}},
		{"number.parquet", table, "#id", []string{"holds no texts"}},
		{"list.parquet", table, "#tags.list.element", []string{"holds no texts"}},
		{"latin.parquet", latin, "#content", []string{"latin.parquet row 2 is not UTF-8"}},
		{"cut.parquet", table[:len(table)/2], "", []string{"cut.parquet is no whole parquet file", "get it again"}},
		{"flipped.parquet", flipped, "", []string{"flipped.parquet is damaged after row", "get it again"}},
		{"none.parquet", nil, "", []string{"none.parquet is no whole parquet file"}},
		{"text.parquet", []byte("not parquet at all"), "", []string{"no whole parquet file"}},
	} {
		_, err := texts(write(t, dir, x.name, x.data) + x.spec)
		for _, want := range x.want {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "corpus: ") {
				t.Errorf("%s%s: error %v, want %q", x.name, x.spec, err, want)
			}
		}
	}
}

func testTokenizer(t testing.TB) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Train(func(yield func(string) bool) { yield(strings.Repeat("the cat sat on the mat and café ", 50)) },
		tokenizer.TrainConfig{VocabSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func pack(t testing.TB, limit int, tok *tokenizer.Tokenizer, sources ...string) (*Tokens, error) {
	t.Helper()
	c, err := Open(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return c.Pack(context.Background(), func(texts []string) [][]int32 { return tok.EncodeBatch(texts, false) }, tok.EOT(), limit, nil)
}

// The parts of a long text have the tokens of the whole, whatever the white space is.
func TestPartsKeepTokens(t *testing.T) {
	tok := testTokenizer(t)
	var b strings.Builder
	for i := 0; b.Len() < 5*partBytes; i++ {
		b.WriteString([]string{"the cat", "  sat\n\n", "\u00a0\u2003on", "\t\tthe mat ", "café's", "\r\n", "<|endoftext|>", " 12 ", "…"}[i*i%9])
	}
	got, err := pack(t, 0, tok, write(t, t.TempDir(), "long.txt", []byte(b.String())))
	if err != nil {
		t.Fatal(err)
	}
	if want := tok.Encode(b.String()); !slices.Equal(got.IDs, want) {
		t.Errorf("%d tokens in parts, %d in one", len(got.IDs), len(want))
	}
	if got.Texts != 1 || !got.Whole {
		t.Errorf("%+v", got.Texts)
	}
}

func TestPack(t *testing.T) {
	tok := testTokenizer(t)
	dir := t.TempDir()
	a := write(t, dir, "a.jsonl", []byte("{\"text\":\"the cat\"}\n{\"text\":\"\"}\n{\"text\":\"the mat\"}\n"))
	got, err := pack(t, 0, tok, a)
	if err != nil {
		t.Fatal(err)
	}
	want := append(append(tok.Encode("the cat"), tok.EOT()), tok.Encode("the mat")...)
	if !slices.Equal(got.IDs, want) || got.Texts != 2 || got.Empty != 1 || !got.Whole {
		t.Errorf("packed %+v, want %v", got, want)
	}
	short, err := pack(t, 3, tok, a)
	if err != nil || !slices.Equal(short.IDs, want[:3]) || short.Whole {
		t.Errorf("with a limit: %+v, %v", short, err)
	}
	other, err := pack(t, 0, tok, write(t, dir, "b.jsonl", []byte("{\"text\":\"the catthe mat\"}\n")))
	if err != nil || other.SHA256 == got.SHA256 {
		t.Errorf("another list of texts has the same sum: %v", err)
	}
	for text, want := range map[string]string{"": "are empty", "a": "have 1 token in all"} {
		if _, err := pack(t, 0, tok, write(t, dir, "c.txt", []byte(text))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	c, _ := Open(a)
	if _, err := c.Pack(ctx, nil, 0, 0, nil); err != context.Canceled {
		if err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("cancelled: %v", err)
		}
	}
}

func FuzzReaders(f *testing.F) {
	for _, seed := range [][]byte{[]byte("a b\n"), []byte("{\"text\":\"x\"}\n"), parquetFile(someRows(6), 3), gzipped([]byte("x y")), zstded([]byte("x y")), {0xFF}} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range []string{"x.txt", "x.jsonl", "x.txt.gz", "x.jsonl.zst"} {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			list, err := texts(path)
			if err != nil && (strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "corpus: ")) {
				t.Errorf("error %q is not one line of this package", err)
			}
			for _, s := range list {
				if strings.ToValidUTF8(s, "?") != s {
					t.Errorf("%s gave a text that is not UTF-8: %q", name, s)
				}
			}
		}
	})
}
