package engine

import (
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// warnings says whether the transcoder belongs to the model at all. It is found
// out on the first prompt that is long enough, once for each pair of the two, and
// stands in every later result.
func (s *Service) warnings(local *replacement.Local) wire.Warned {
	s.mu.Lock()
	text, judged := s.fits[local.Model]
	s.mu.Unlock()
	if !judged {
		var err error
		if text, judged, err = local.Suspicion(); err != nil {
			s.log("the fit of the transcoder could not be judged: %v", err)
		}
		if judged {
			s.mu.Lock()
			s.fits[local.Model] = text
			s.mu.Unlock()
		}
	}
	if text == "" {
		return wire.Warned{}
	}
	return wire.Warned{Warnings: []string{text}}
}
