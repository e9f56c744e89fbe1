// Package pocket is the embedded default: a small trained GPT-2 with its
// tokenizer, and the transcoders that were trained on it, so that everything
// works without a network. The world that it learnt is package world.
//
// The model has 4 layers of width 128, 4 heads and a context of 64 tokens, with
// <|endoftext|> at position 0 of every prompt. Prompts begin with a space, since
// every word of the world with its leading space is one token.
//
// data/README.md is the model card, with the accuracy of each behaviour on
// combinations that were seen in training and on combinations held out. All files
// of data are made by "make pocket".
package pocket
