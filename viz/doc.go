// Package viz turns attribution graphs, tokens and numbers into pictures for
// notebooks, reports and exported pages. It writes text (HTML, SVG, Markdown)
// and never touches a model: a saved graph is enough.
//
// Every component returns an Output: an HTML card that is complete without
// scripts, a Markdown table, and a line of plain text. Where scripts may run, a
// sandboxed frame takes the place of the picture once it says that it is ready:
// for the graph one to explore and edit it, for other figures one that reads out
// values by pointer and keys. Output.Still leaves the script out. Same input, same
// bytes: no clock, no random ids, no network.
//
// Plots are drawn here and not by gonum/plot, which was measured (v0.16.0). Its
// bytes are the same each time too, but our sample histogram takes 14.2 KB where
// ours takes 4.2 (scatter 19.6 and 15.1, curve 6.0 and 5.2), colours and fonts are
// style attributes, which nbviewer drops, the face is a serif one, there is
// neither a title for screen readers nor a place for hover texts, dark palette and
// dashes by sign would be ours to add, and a notebook cell would link 106 more
// packages.
//
// Words used here:
//
//	shown, total    nodes in the picture; nodes of the graph before pruning
//	influence       share of the targets' input that passes through a node
//	share           |edge| over the sum of |edges| into its target (local)
//	score           share times (influence + probability) of the target (global)
//	effect          the edge itself, signed
//
// Widths and heights are CSS pixels; SVG coordinates are half pixels.
package viz
