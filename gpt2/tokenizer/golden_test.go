package tokenizer

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/etredal/cross-layer-transcoder/internal/golden"
)

// The published vocab.bpe and encoder.json.
const (
	mergesSHA = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"
	vocabSHA  = "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783"
)

// lines calls each for every line of a JSON-lines file, gzipped or not, and returns how many there were.
func lines[T any](t *testing.T, path string, each func(n int, c T)) int {
	t.Helper()
	n := 0
	s := bufio.NewScanner(bytes.NewReader(readAll(t, path)))
	s.Buffer(nil, 1<<24)
	for s.Scan() {
		var c T
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatalf("%s:%d: %v", path, n+1, err)
		}
		each(n, c)
		n++
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

type encodeCase struct {
	Cat          string
	Text         string
	IDs          []int32
	IDsNoSpecial []int32 `json:"ids_no_special"`
}

func checkEncode(t *testing.T, tok *Tokenizer) func(int, encodeCase) {
	return func(n int, c encodeCase) {
		plain := c.IDs
		if c.IDsNoSpecial != nil {
			plain = c.IDsNoSpecial
		}
		for what, ids := range map[string][2][]int32{
			"special": {tok.EncodeSpecial(c.Text), c.IDs},
			"plain":   {tok.Encode(c.Text), plain},
		} {
			if at, ok := firstDifference(ids[0], ids[1]); !ok {
				t.Errorf("case %d (%s, %s): token %d of %.60q differs: %v, want %v",
					n+1, c.Cat, what, at, c.Text, ids[0][at:min(at+5, len(ids[0]))], ids[1][at:min(at+5, len(ids[1]))])
			}
			if got := tok.DecodeString(ids[1]); got != c.Text {
				t.Errorf("case %d: decoded %.60q, want %.60q", n+1, got, c.Text)
			}
		}
		ids, offsets := tok.EncodeOffsets(c.Text, true)
		for i, id := range ids {
			if got := c.Text[offsets[i][0]:offsets[i][1]]; got != string(tok.Decode([]int32{id})) {
				t.Fatalf("case %d: token %d is at %q", n+1, id, got)
			}
		}
		if len(ids) > 0 && (offsets[0][0] != 0 || offsets[len(ids)-1][1] != len(c.Text)) {
			t.Errorf("case %d: offsets end at %v of %d", n+1, offsets[len(ids)-1], len(c.Text))
		}
	}
}

func firstDifference(a, b []int32) (int, bool) {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i, false
		}
	}
	return min(len(a), len(b)), len(a) == len(b)
}

func checkInvalid(t *testing.T, tok *Tokenizer) func(int, struct {
	Bytes   []byte  `json:"bytes_b64"`
	Maximal []int32 `json:"ids_replace_maximal_subpart"`
	PerByte []int32 `json:"ids_replace_per_byte"`
}) {
	return func(n int, c struct {
		Bytes   []byte  `json:"bytes_b64"`
		Maximal []int32 `json:"ids_replace_maximal_subpart"`
		PerByte []int32 `json:"ids_replace_per_byte"`
	}) {
		text := string(c.Bytes)
		if got := tok.Encode(Valid(text)); !slices.Equal(got, c.Maximal) {
			t.Errorf("line %d: Encode(Valid(%q)) is %v, want %v", n+1, text, got, c.Maximal)
		}
		if got := tok.Encode(string([]rune(text))); !slices.Equal(got, c.PerByte) {
			t.Errorf("line %d: %q with each bad byte replaced is %v, want %v", n+1, text, got, c.PerByte)
		}
		if got := tok.Decode(tok.Encode(text)); !bytes.Equal(got, c.Bytes) {
			t.Errorf("line %d: %q came back as %q", n+1, text, got)
		}
	}
}

type decodeCase struct {
	IDs   []int32
	Bytes []byte `json:"bytes_b64"`
	Text  string
}

func checkDecode(t *testing.T, tok *Tokenizer) func(int, decodeCase) {
	return func(n int, c decodeCase) {
		if got := tok.Decode(c.IDs); !bytes.Equal(got, c.Bytes) {
			t.Errorf("line %d: %v decodes to %q, want %q", n+1, c.IDs, got, c.Bytes)
		}
		if got := tok.DecodeString(c.IDs); got != c.Text {
			t.Errorf("line %d: %v shows as %q, want %q", n+1, c.IDs, got, c.Text)
		}
		if len(c.IDs) == 1 && tok.Text(c.IDs[0]) != c.Text {
			t.Errorf("line %d: token %d shows as %q, want %q", n+1, c.IDs[0], tok.Text(c.IDs[0]), c.Text)
		}
	}
}

// checkFolder checks a tokenizer against a folder of cases and returns how many there were.
func checkFolder(t *testing.T, tok *Tokenizer, dir, suffix string) [3]int {
	t.Helper()
	return [3]int{
		lines(t, filepath.Join(dir, "encode.jsonl"+suffix), checkEncode(t, tok)),
		lines(t, filepath.Join(dir, "invalid_utf8.jsonl"+suffix), checkInvalid(t, tok)),
		lines(t, filepath.Join(dir, "decode.jsonl"+suffix), checkDecode(t, tok)),
	}
}

func TestReferenceSubset(t *testing.T) {
	if n := checkFolder(t, GPT2(), "testdata", ".gz"); n != [3]int{1438, 75, 486} {
		t.Fatalf("%v cases", n)
	}
}

func TestReferenceFull(t *testing.T) {
	dir := filepath.Join(golden.NeedGolden(t), "tokenizer")
	fromFiles, err := FromFiles(readAll(t, filepath.Join(dir, "vocab.json.gz")), readAll(t, filepath.Join(dir, "merges.txt.gz")))
	if err != nil {
		t.Fatal(err)
	}
	for name, tok := range map[string]*Tokenizer{"built in": GPT2(), "from files": fromFiles} {
		t.Run(name, func(t *testing.T) {
			n := checkFolder(t, tok, dir, "")
			long := lines(t, filepath.Join(dir, "encode_100k.jsonl.gz"), checkEncode(t, tok))
			t.Logf("%d+%d texts, %d invalid texts, %d decodings", n[0], long, n[1], n[2])
			if n[0]+long != 2033 {
				t.Errorf("%d texts, want 2033", n[0]+long)
			}
			all := make([]int32, tok.Size())
			for i := range all {
				all[i] = int32(i)
			}
			if got := fmt.Sprintf("%x", sha256.Sum256(tok.Decode(all))); got != "f2da4ff514c07861464f0fa0120eca6a6137f0008fa0c43209b6b796c32fab99" {
				t.Errorf("all tokens together have SHA-256 %s", got)
			}
		})
	}
}

func TestFilesAreThePublishedOnes(t *testing.T) {
	vocab, merges := GPT2().Files()
	if got := fmt.Sprintf("%x", sha256.Sum256(vocab)); got != vocabSHA {
		t.Errorf("vocab.json has SHA-256 %s, published %s", got, vocabSHA)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(merges)); got != mergesSHA {
		t.Errorf("merges.txt has SHA-256 %s, published %s", got, mergesSHA)
	}
}
