// Package sugarme puts GPT-2's exact encoding into github.com/sugarme/tokenizer, so that a program written for that
// library (pairs, truncation, padding, batches, offsets) gets the right ids.
//
//	tk := sugarme.GPT2()                           // the built-in vocabulary
//	enc, err := tk.EncodeSingle("Hello,\n\nworld") // enc.Ids, enc.Offsets, ...
//
// New takes any tokenizer of package gpt2/tokenizer. The parts can be used alone: PreTokenizer cuts a text with our
// scanner, Model applies our merges, Decoder goes back, PostProcessor tells the two texts of a pair apart.
//
// # What it mends
//
// With its own parts, version 0.3.0 of the library gives other ids than GPT-2 for one text in seven. TestIDFaults and
// TestFaults hold the faults; each compares the library alone with ours, and fails when the library is mended:
//
//   - a run of newlines in front of text becomes one piece (its pattern lacks \s+(?!\S));
//   - Unicode's spaces count as symbols;
//   - merges of equal rank are not applied from left to right, so that long runs of one character come out wrong;
//   - special tokens in the text vanish;
//   - a space is put in front of the text unless told otherwise;
//   - tokens that share a character have the same offsets;
//   - decoding with the decoder of its GPT-2 preset gives another text;
//   - that preset changes the working directory and looks for files inside the module's source;
//   - the tokens of a pair all count as the first text's;
//   - padding what was truncated overwrites the part that was cut off;
//   - training gives other merges each time (train with tokenizer.Train and use New).
//
// # What is out of its reach
//
// The library does these before or after its parts run. TestUnmended holds them, so that we notice when it changes:
//
//   - text that is not valid UTF-8 is damaged before any part sees it: pass it through tokenizer.Valid;
//   - left padding panics: pad on the right, as GPT-2 wants it;
//   - truncating a pair with LongestFirst removes too much or nothing: use OnlyFirst or OnlySecond;
//   - EncodeCharOffsets ends the last token a character early: use the byte offsets of Encode;
//   - DecodeBatch loses the order of the texts, and some texts: call Decode for each;
//   - Tokenizer.Save writes nothing: Model.Save writes vocab.json and merges.txt.
package sugarme
