package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
)

// identify finds what a file is known by. Below a root that is the path below it. Without one it is the
// folder that the file is in and its name; the folder as a hash, since where a user keeps things is
// nobody's business. A folder and a file in it, named from any present folder, are the same document.
func (s *ingestSource) identify(root string) error {
	if s.isURL {
		return nil
	}
	path, err := wholePath(s.path)
	if err != nil {
		return err
	}
	if root == "" {
		folder := sha256.Sum256([]byte(filepath.ToSlash(filepath.Dir(path))))
		s.identity = hex.EncodeToString(folder[:8]) + "/" + filepath.Base(path)
		return nil
	}
	if root, err = wholePath(root); err != nil {
		return err
	}
	below, err := filepath.Rel(root, path)
	if err != nil || !filepath.IsLocal(below) {
		return fmt.Errorf("--root: %s is not below %s", s.path, root)
	}
	s.identity = filepath.ToSlash(below)
	return nil
}

// wholePath is the path from the root of the file system, without the links it was named by.
func wholePath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}
