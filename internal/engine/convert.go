package engine

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/etredal/cross-layer-transcoder/clt"
	"github.com/etredal/cross-layer-transcoder/clt/attribution"
	"github.com/etredal/cross-layer-transcoder/clt/convert"
	"github.com/etredal/cross-layer-transcoder/clt/replacement"
	"github.com/etredal/cross-layer-transcoder/gpt2"
	"github.com/etredal/cross-layer-transcoder/gpt2/pocket"
	"github.com/etredal/cross-layer-transcoder/internal/engine/wire"
)

// lazyBytes is how large the files of a transcoder are whose decoders stay on the
// disk.
var lazyBytes int64 = 256 << 20

// OpenCLT reads a transcoder: "pocket", "pocket-batchtopk", "pocket-per-layer", or
// a directory in any layout of clt/convert.
func OpenCLT(name string) (*clt.Transcoder, attribution.Artifact, error) {
	t, id, _, err := openCLT(name)
	return t, id, err
}

func openCLT(name string) (t *clt.Transcoder, id attribution.Artifact, remarks []string, err error) {
	id = attribution.Artifact{Name: filepath.Base(filepath.Clean(name))}
	fsys, ok := pocket.CLT(name)
	switch {
	case ok:
		t, err = clt.LoadFS(fsys, id.Name)
	case isDir(name):
		fsys = os.DirFS(name)
		var rep convert.Report
		t, rep, err = convert.Open(name, convert.Options{Lazy: weightBytes(fsys) > lazyBytes})
		remarks = rep.Remarks
	default:
		err = fmt.Errorf("engine: transcoder %q is neither pocket, pocket-batchtopk, pocket-per-layer nor a directory; give the folder that train wrote", name)
	}
	if err != nil {
		return nil, id, nil, err
	}
	if t.Lazy() {
		id.SHA256 = clt.RecordedHash(fsys)
	}
	if id.SHA256 == "" {
		id.SHA256, err = clt.HashWeights(fsys)
	}
	return t, id, remarks, err
}

// weightBytes is the size of a folder's files of tensors.
func weightBytes(fsys fs.FS) (total int64) {
	names, _ := fs.Glob(fsys, "*.safetensors")
	for _, n := range names {
		if info, err := fs.Stat(fsys, n); err == nil {
			total += info.Size()
		}
	}
	return total
}

// Convert reads a transcoder in any layout and writes it in circuit-tracer's. With
// a model it also measures how well it reconstructs that model's MLP outputs.
func (s *Service) Convert(ctx context.Context, req wire.ConvertRequest, report func(wire.Progress)) (out wire.ConvertResponse, err error) {
	if req.Out == "" || req.Src == "" {
		return out, fmt.Errorf("engine: convert: source %q, output %q; name both folders", req.Src, req.Out)
	}
	src, err1 := filepath.Abs(req.Src)
	dst, err2 := filepath.Abs(req.Out)
	if err1 == nil && err2 == nil && src == dst {
		return out, fmt.Errorf("engine: convert: %q is source and output at once; write to another folder", req.Src)
	}
	tell(report, wire.Progress{Phase: "read", Total: 3})
	t, rep, err := convert.Open(req.Src, convert.Options{From: convert.Layout(req.From), Read: gpt2.Site(req.Read), Activation: req.Activation,
		K: req.K, Layers: req.Layers, Lazy: weightBytes(os.DirFS(req.Src)) > lazyBytes})
	if err != nil {
		return out, err
	}
	defer t.Close()
	if err := ctx.Err(); err != nil {
		return out, err
	}
	if t.Info.SourceSHA256, err = clt.HashWeights(os.DirFS(req.Src)); err != nil {
		return out, fmt.Errorf("engine: convert: %w", err)
	}
	out = wire.ConvertResponse{Layout: string(rep.Layout), Out: req.Out, Remarks: append([]string{}, rep.Remarks...)}
	if t.Activation == clt.ActGlobalTopK {
		out.Remarks = append(out.Remarks, "top-k over all layers exists in clt.json alone; other readers of the written files take all positive features")
	}
	tell(report, wire.Progress{Phase: "check", Done: 1, Total: 3})
	if req.Model != "" {
		if err := s.checkConverted(t, req, &out); err != nil {
			return out, err
		}
	}
	tell(report, wire.Progress{Phase: "write", Done: 2, Total: 3})
	if err := t.Save(req.Out); err != nil {
		return out, err
	}
	id := attribution.Artifact{Name: filepath.Base(filepath.Clean(req.Out)), SHA256: clt.RecordedHash(os.DirFS(req.Out))}
	out.CLT = *cltInfo(t, id)
	return out, nil
}

// checkConverted joins the transcoder with its model and judges the fit.
func (s *Service) checkConverted(t *clt.Transcoder, req wire.ConvertRequest, out *wire.ConvertResponse) error {
	lm, _, err := s.model(wire.Setup{Model: req.Model, Backend: req.Backend})
	if err != nil {
		return err
	}
	if t.Model == "" {
		t.Model = lm.Name
	}
	m, err := replacement.New(lm, t, attribution.Artifact{Name: filepath.Base(filepath.Clean(req.Src))})
	if err != nil {
		return err
	}
	defer m.Close()
	local, err := fitText(m)
	if err != nil {
		return err
	}
	if local == nil {
		out.Remarks = append(out.Remarks, "the model has no tokenizer, so the reconstruction was not measured")
		return nil
	}
	nmse := local.Fit().NMSE
	out.NMSE = &nmse
	text, _, err := local.Suspicion()
	if text != "" {
		out.Warnings = append(out.Warnings, text)
	}
	if lm.Tokenizer != nil && t.Info.TokenizerSHA256 == "" && text == "" {
		t.Info.TokenizerSHA256 = lm.Tokenizer.SHA256()
	}
	return err
}
