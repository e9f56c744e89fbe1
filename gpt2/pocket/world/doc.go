// Package world is the little world that the pocket model learns: some
// countries, some people, some arithmetic and some grammar, told in short
// English sentences with known ground truth.
//
// A [World] follows from one seed. The seed decides who lives where and likes
// what, and what is held out; capitals and languages are the real ones. Text is
// a row of words, each with its leading space, also the first one, so that a
// byte-level BPE that keeps every word of [World.Words] whole reads one token
// per word:
//
//	" The capital of France is Paris . After 41 comes 42 ."
//
// # Sentences
//
// A sentence is drawn in three steps: the sort by the weights of [World.Mix],
// one of its templates with equal chance, then its words: of each list one word
// is told a quarter of the time, the others with equal chance. Shares are percent
// of sentences.
//
//	sort               share  example (the answer is the word after the bar)
//	capital                4  The capital of France is | Paris .
//	language               3  The language of France is | French .
//	home                   7  Anna lives in | France .
//	food                   5  Anna likes | rice .
//	hop                    4  Anna lives in France and speaks | French .
//	two-hop                8  The capital of the country where Anna lives is | Paris .
//	two-hop-language       4  The language of the country where Anna lives is | French .
//	agreement              4  The keys near the cabinet | are old .
//	successor              5  After 41 comes | 42 .
//	counting               1  Count 40 , 41 , 42 , 43 .
//	addition               7  3 plus 5 is | 8 .
//	two-digit-addition     9  43 plus 8 is | 51 .
//	opposite               4  The opposite of hot is | cold .
//	contrast               1  It is hot , not cold .
//	keeping                6  Anna wants the key , finds the key and keeps the key .
//	induction              8  Anna sees the key , then Anna takes the | key .
//	indirect-object       12  When Anna and Tom went to the shop , Tom gave the key to | Anna .
//	acronym                5  The Global Data Group ( | G | D | G ) is open .
//	greater-than           3  The war lasted from 17 41 to 17 | 58 .
//
// # Held out
//
// Some combinations never occur in the text although their parts do, so that a
// right answer to them cannot have been learnt by heart:
//
//   - a fifth of the people, at most one per country, occur in home and food
//     alone, never in hop, two-hop, keeping, induction or indirect-object;
//   - a fifth of the pairs of the other people never meet in
//     indirect-object;
//   - a fifth of the unordered digit pairs never occur in addition, in either
//     order, though their sums are carried out within larger numbers;
//   - a fifth of the (number, digit) pairs never occur in two-digit-addition;
//   - a fifth of the numbers have no successor sentence; they are counted past;
//   - a fifth of the opposites occur in contrast alone;
//   - a fifth of the (subject, distractor) noun pairs never meet in agreement;
//   - a fifth of the pairs of first and second word never meet in acronym;
//   - a fifth of the (century, year) pairs begin nothing in greater-than.
//
// Held-out people are not asked for in indirect-object: in trials a model that
// was right on all pairs of people it knew so never named anybody it had never
// heard at that place.
//
// capital, language, home and food are plain facts: all of them are told.
package world
