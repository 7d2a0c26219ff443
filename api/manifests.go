package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
	"millrace/store"
)

// exportMedia is the type of a bundle.
const exportMedia = "application/zip"

// kept is a result as it is stored, and what it was made of.
type kept struct {
	manifest, sum string
	spec          json.RawMessage // of the request, as it is stored now
	datasets      []uuid.UUID
	intrabar      string // id of the dataset of bars inside those of the first, or ""
	script        *sweep.Script
	parts         func(context.Context) (manifest.Parts, error)
}

// noManifest says why a result has no manifest; other errors stay as they are.
func noManifest(err error, ended bool) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if !ended {
		return problem(http.StatusConflict, "The manifest is written when the result is complete, and this one is not.")
	}
	return problem(http.StatusConflict, "This result has no manifest: it failed or was canceled, or it was made before results were stamped, so which engine made it is not known. Submit it again to have one.")
}

func (s *Server) keptTune(ctx context.Context, workspace, id uuid.UUID) (*kept, error) {
	tune, err := s.store.Tuning.Get(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	k := &kept{script: tune.Spec.Script, intrabar: tune.Spec.IntrabarDataset, parts: func(ctx context.Context) (manifest.Parts, error) { return s.store.Tuning.Parts(ctx, tune) }}
	if k.manifest, k.sum, err = s.store.Tuning.Manifest(ctx, workspace, id); err != nil {
		return nil, noManifest(err, tune.Status.Ended())
	}
	if k.datasets, err = s.store.Tuning.DatasetIDs(ctx, tune); err != nil {
		return nil, err
	}
	k.spec, err = json.Marshal(tune.Spec)
	return k, err
}

func (s *Server) keptWFO(ctx context.Context, workspace, id uuid.UUID) (*kept, error) {
	wfo, err := s.store.WalkForward.Get(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	k := &kept{
		script: wfo.Spec.Script, datasets: wfo.DatasetIDs(), intrabar: wfo.Spec.IntrabarDataset,
		parts: func(ctx context.Context) (manifest.Parts, error) { return s.store.WalkForward.Parts(ctx, wfo) },
	}
	if k.manifest, k.sum, err = s.store.WalkForward.Manifest(ctx, workspace, id); err != nil {
		return nil, noManifest(err, wfo.Status.Ended())
	}
	k.spec, err = json.Marshal(wfo.Spec)
	return k, err
}

func (s *Server) keptRun(ctx context.Context, workspace, id uuid.UUID) (*kept, error) {
	run, err := s.store.Market.RunDetail(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	k := &kept{
		script: run.Script, datasets: []uuid.UUID{run.DatasetID}, intrabar: run.IntrabarDataset(), spec: run.Spec,
		parts: func(context.Context) (manifest.Parts, error) { return run.Parts() },
	}
	if k.manifest, k.sum, err = s.store.Market.Manifest(ctx, workspace, id); err != nil {
		return nil, noManifest(err, true)
	}
	return k, nil
}

// find reads a kept result by the id in the path.
func (s *Server) find(c echo.Context, read func(context.Context, uuid.UUID, uuid.UUID) (*kept, error)) (*kept, error) {
	id, err := pathID(c)
	if err != nil {
		return nil, err
	}
	return read(c.Request().Context(), workspaceOf(c), id)
}

// serveManifest answers with the manifest in its canonical form; its hash is the ETag.
func (s *Server) serveManifest(read func(context.Context, uuid.UUID, uuid.UUID) (*kept, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		k, err := s.find(c, read)
		if err != nil {
			return err
		}
		c.Response().Header().Set("ETag", `"`+k.sum+`"`)
		return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, []byte(k.manifest))
	}
}

// serveExport answers with the result, its data and its manifest in one file.
func (s *Server) serveExport(read func(context.Context, uuid.UUID, uuid.UUID) (*kept, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		k, err := s.find(c, read)
		if err != nil {
			return err
		}
		bundle, err := s.bundle(c.Request().Context(), workspaceOf(c), k)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := bundle.Write(&out); err != nil {
			return fmt.Errorf("write the file: %w", err)
		}
		c.Response().Header().Set(echo.HeaderContentDisposition, `attachment; filename="millrace-`+bundle.Manifest.ID+`.zip"`)
		return c.Blob(http.StatusOK, exportMedia, out.Bytes())
	}
}

// bundle gathers what a result was made of.
func (s *Server) bundle(ctx context.Context, workspace uuid.UUID, k *kept) (*manifest.Bundle, error) {
	m, err := manifest.Read([]byte(k.manifest))
	if err != nil {
		return nil, err
	}
	b := &manifest.Bundle{Manifest: m, Sum: k.sum, Spec: k.spec}
	if b.Parts, err = k.parts(ctx); err != nil {
		return nil, err
	}
	for _, id := range k.datasets {
		data, err := s.store.Market.Packed(ctx, workspace, id)
		if err != nil {
			return nil, err
		}
		b.Data = append(b.Data, data)
	}
	if m.Intrabar != nil {
		inside, err := uuid.Parse(k.intrabar)
		if err != nil {
			return nil, fmt.Errorf("intrabar dataset: %w", err)
		}
		if b.Intrabar, err = s.store.Market.Packed(ctx, workspace, inside); err != nil {
			return nil, err
		}
	}
	if k.script != nil {
		if b.Script, err = s.store.Strategies.PinnedSource(ctx, workspace, k.script.SHA256); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// manifestRoutes are the manifests and files of results.
func (s *Server) manifestRoutes() []route {
	var routes []route
	for _, of := range []struct {
		path, what string
		read       func(context.Context, uuid.UUID, uuid.UUID) (*kept, error)
	}{
		{"/backtests/tunes", "tune", s.keptTune},
		{"/backtests/wfo", "walk-forward", s.keptWFO},
		{"/backtests/runs", "run", s.keptRun},
	} {
		routes = append(routes,
			route{http.MethodGet, of.path + "/:id/manifest", viewer, s.serveManifest(of.read), bodyLimit, about{
				summary: "What the " + of.what + " was made of, and the hash of what it found", answer: manifest.Manifest{}}},
			route{http.MethodGet, of.path + "/:id/export", viewer, s.serveExport(of.read), bodyLimit, about{
				summary: "The " + of.what + " with its data in one file, to reproduce it elsewhere", media: exportMedia}})
	}
	return routes
}
