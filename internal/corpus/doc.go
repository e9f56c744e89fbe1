// Package corpus reads texts from files, one at a time and in a fixed order: plain text, JSON lines, parquet, the first
// two also gzipped or packed with zstd; named one by one, by folder or by pattern. It knows neither models nor
// transcoders: a tokenizer is a function that it is given. So the language model, the transcoder, the feature store and
// the command line read the same texts in the same way.
//
// A source is written
//
//	PATH[#FIELD]
//
// where PATH is a file, a folder or a pattern such as data/train-*.parquet, and FIELD the key of a JSON line or the
// column of a parquet file that holds the text ("text" unless said otherwise; a.b for one inside another).
//
// Memory is bounded whatever the size of a file: plain text comes in parts, parquet page by page.
package corpus
