package tokenizer

import (
	"strings"
	"testing"
)

// english is about 1 MB of text with some 3,000 different words.
func english() string {
	paragraph := "The quick brown fox jumps over the lazy dog. It's been a long day, hasn't it? \"We'll see,\" she said; " +
		"\"they've gone home.\" In 1847 the observatory's director wrote that no instrument then available could resolve it.\n\n"
	var b strings.Builder
	for i := 0; b.Len() < 1<<20; i++ {
		b.WriteString(paragraph)
		for j := range 10 {
			n := uint32(i*10+j) * 2654435761
			b.WriteString(" re")
			for range 3 {
				b.WriteString([]string{"con", "sti", "tu", "ment", "al", "ar", "go", "ly"}[n>>29])
				n <<= 3
			}
		}
	}
	return b.String()
}

func benchmarkEncode(b *testing.B, text string) {
	t := GPT2()
	t.Encode(text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		t.Encode(text)
	}
}

func BenchmarkEncodeEnglish(b *testing.B) { benchmarkEncode(b, english()) }

func BenchmarkEncodeSentence(b *testing.B) {
	benchmarkEncode(b, "Data visualization empowers users to explore what a model does.")
}

func BenchmarkEncodeCode(b *testing.B) {
	benchmarkEncode(b, strings.Repeat("func (t *Tokenizer) Size() int {\n\treturn len(t.tokens) // 50,257 != 1<<16\n}\n\n", 5000))
}

func BenchmarkEncodeChinese(b *testing.B) {
	benchmarkEncode(b, strings.Repeat("注意力机制把信息从一个位置移到另一个位置。", 5000))
}

// One piece of 100,000 bytes: nothing is cached, and the merges must not take quadratic time.
func BenchmarkEncodeOnePiece(b *testing.B) { benchmarkEncode(b, strings.Repeat("a", 100_000)) }

func BenchmarkEncodeOnePieceMixed(b *testing.B) {
	benchmarkEncode(b, strings.Repeat("internationalization", 5_000))
}

func BenchmarkDecode(b *testing.B) {
	t, text := GPT2(), english()
	ids := t.Encode(text)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		t.Decode(ids)
	}
}

func BenchmarkMakeGPT2(b *testing.B) {
	vocab, merges := GPT2().Files()
	b.Run("FromFiles", func(b *testing.B) {
		for b.Loop() {
			if _, err := FromFiles(vocab, merges); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("BuiltIn", func(b *testing.B) {
		for b.Loop() {
			makeBuiltin()
		}
	})
}

func BenchmarkTrain(b *testing.B) {
	text := english()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := Train(func(yield func(string) bool) { yield(text) }, TrainConfig{VocabSize: 2000}); err != nil {
			b.Fatal(err)
		}
	}
}
