// Package notebook reads Jupyter notebooks, writes them in one normal form and
// checks what a committed notebook must keep to. It needs no Python.
//
// The normal form is that of Python's nbformat: sorted keys, one space a level,
// texts cut into lines, a newline at the end. So a notebook that Jupyter saved
// again shows only what changed.
package notebook
