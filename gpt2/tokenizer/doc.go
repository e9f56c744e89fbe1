// Package tokenizer is GPT-2's byte-level byte-pair encoding, exactly: text to token ids and back.
//
// A text is cut into pieces by the pattern
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// (a contraction, or a run of letters, digits or symbols with the space in front of it, or white space; a hand-written
// scanner, no regular expression), and within each piece the adjacent pair of tokens with the lowest rank in the
// merge list is joined, leftmost first, until no listed pair is left. Letters, numbers and white space are Unicode's.
//
// # Bytes that are not UTF-8
//
// Encode loses nothing: a byte that is not part of valid UTF-8 counts as a symbol, like a punctuation mark, and keeps
// its own byte token, so that Decode(Encode(text)) is text for every string of bytes. The reference implementations,
// whose texts cannot hold such bytes, replace them first; Encode(Valid(text)) does the same. In the other direction
// Decode gives the exact bytes, while Text and DecodeString, made for showing, pass them through Valid.
//
// # Special tokens
//
// Encode reads <|endoftext|> like any other text; EncodeSpecial turns it into its one id. Nothing is put in front of a
// text: a beginning-of-sequence token is the model's business.
package tokenizer
