package clt

// Fold lets the tests outside the package fold a transcoder.
func (s *Stats) Fold(t *Transcoder) *Transcoder { return s.fold(t) }
