package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/internal/atomicfile"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// Attribute makes the attribution graph of a prompt and writes it as safetensors.
func (s *Service) Attribute(ctx context.Context, req wire.AttributeRequest, report func(wire.Progress)) (out wire.GraphInfo, err error) {
	begin := time.Now()
	local, err := s.local(req.Setup, req.Prompt)
	if err != nil {
		return out, err
	}
	g, err := attribute(ctx, local, req, report)
	if err != nil {
		return out, err
	}
	if req.Out == "" {
		if req.Out, err = s.scratchFile(fmt.Sprintf("graph-%d.safetensors", time.Now().UnixNano())); err != nil {
			return out, err
		}
	}
	if err := SaveGraph(req.Out, g, attribution.View{}); err != nil {
		return out, err
	}
	data, err := os.ReadFile(req.Out)
	if err != nil {
		return out, err
	}
	sum := sha256.Sum256(data)
	return wire.GraphInfo{Warned: s.warnings(local), Path: req.Out, SHA256: hex.EncodeToString(sum[:]), Nodes: len(g.Nodes), Feature: g.Count(attribution.Feature),
		Active: g.Settings.Active, Score: score(g), Seconds: time.Since(begin).Seconds()}, nil
}

func attribute(ctx context.Context, local *replacement.Local, req wire.AttributeRequest, report func(wire.Progress)) (*attribution.Graph, error) {
	cfg := replacement.DefaultAttributeConfig()
	var err error
	if cfg.MaxLogits, cfg.LogitProb, cfg.Targets, err = targets(local, req.Targets, req.MaxLogits, req.LogitProb); err != nil {
		return nil, err
	}
	if req.Batch != 0 {
		cfg.Batch = req.Batch
	}
	if req.Interval != 0 {
		cfg.Interval = req.Interval
	}
	cfg.MaxFeatures, cfg.Compat = req.MaxFeatures, req.Compat
	return local.Attribute(ctx, cfg, func(done, total int) {
		tell(report, wire.Progress{Phase: "attribute", Done: done, Total: total})
	})
}

// targets reads what people ask for: tokens, differences, features, or the top
// logits (none, then) at the last or another position; with the settings of top
// logits, where 0 takes the default.
func targets(local *replacement.Local, texts []string, most int, prob float64) (maxLogits int, logitProb float64, list []replacement.Target, err error) {
	d := replacement.DefaultAttributeConfig()
	if most == 0 {
		most = d.MaxLogits
	}
	if prob == 0 {
		prob = d.LogitProb
	}
	if len(texts) == 1 && strings.HasPrefix(texts[0], "@") {
		list, err = local.TopTargetsAt(texts[0], most, prob)
		return most, prob, list, err
	}
	for _, text := range texts {
		t, err := local.ParseTarget(text)
		if err != nil {
			return most, prob, nil, err
		}
		list = append(list, t)
	}
	return most, prob, list, nil
}

// score converts the graph's score to the wire.
func score(g *attribution.Graph) wire.Score {
	return wire.Score(g.Score())
}

// LoadGraph reads a graph by the file's ending: .safetensors, or the public JSON.
func LoadGraph(path string) (*attribution.Graph, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("engine: graph: %w", err)
	}
	defer f.Close()
	var g *attribution.Graph
	if strings.EqualFold(filepath.Ext(path), ".json") {
		g, _, err = attribution.ReadJSON(f)
	} else {
		info, serr := f.Stat()
		if serr != nil {
			return nil, fmt.Errorf("engine: graph: %w", serr)
		}
		g, err = attribution.ReadSafetensors(f, info.Size())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return g, nil
}

// SaveGraph writes a graph by the file's ending, whole or not at all.
func SaveGraph(path string, g *attribution.Graph, view attribution.View) error {
	var b bytes.Buffer
	var err error
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".json":
		err = attribution.WriteJSON(&b, g, view)
	case ".safetensors":
		err = attribution.WriteSafetensors(&b, g)
	default:
		err = fmt.Errorf("engine: graph file %q ends in %q; use .safetensors or .json", filepath.Base(path), ext)
	}
	if err != nil {
		return err
	}
	return atomicfile.Write(path, b.Bytes())
}
