package main

import (
	"archive/zip"
	"errors"
	"os"

	"millrace/jobs/knowledge/bert"
)

// openLocal reads the model of a folder or of a zip file, such as a wheel.
func openLocal(path string) (*bert.Embedder, error) {
	if path == "" {
		return nil, errors.New("name the file of the model, as EMBEDDER is local")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return bert.Open(os.DirFS(path))
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = archive.Close() }()
	return bert.Open(archive)
}
