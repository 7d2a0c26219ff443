package store

// SetVersion names the program's version, for the manifests of results. Call it before the first result.
func (s *DB) SetVersion(version string) { s.version = version }

// Version is the program's.
func (s *DB) Version() string { return s.version }
