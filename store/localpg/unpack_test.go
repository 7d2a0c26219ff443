package localpg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/ulikunitz/xz"
)

// jarOf is an archive as Maven Central has them: a zip with one tar packed by xz.
func jarOf(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var packed bytes.Buffer
	compressor, err := xz.NewWriter(&packed)
	require.NoError(t, err)
	files := tar.NewWriter(compressor)
	for _, header := range headers {
		content := "content of " + header.Name
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(content))
		}
		require.NoError(t, files.WriteHeader(&header))
		if header.Typeflag == tar.TypeReg {
			_, err = files.Write([]byte(content))
			require.NoError(t, err)
		}
	}
	require.NoError(t, files.Close())
	require.NoError(t, compressor.Close())
	var jar bytes.Buffer
	zipped := zip.NewWriter(&jar)
	member, err := zipped.Create("postgres.txz")
	require.NoError(t, err)
	_, err = member.Write(packed.Bytes())
	require.NoError(t, err)
	require.NoError(t, zipped.Close())
	return jar.Bytes()
}

func TestUnpackWritesTheTreeOfTheArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	jar := jarOf(t, tar.Header{Typeflag: tar.TypeDir, Name: "./bin/"}, tar.Header{Typeflag: tar.TypeReg, Name: "./bin/postgres", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./bin/postmaster", Linkname: "postgres"})
	require.NoError(t, unpack(jar, dir))
	for _, name := range []string{"postgres", "postmaster"} {
		content, err := os.ReadFile(filepath.Join(dir, "bin", name))
		require.NoError(t, err)
		require.Equal(t, "content of ./bin/postgres", string(content))
	}
	info, err := os.Stat(filepath.Join(dir, "bin/postgres"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o755), info.Mode().Perm())
}

func TestUnpackRefusesPathsOutsideItsFolder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../outside", "bin/../../outside"} {
		dir := filepath.Join(t.TempDir(), "inside")
		require.NoError(t, os.Mkdir(dir, 0o755))
		require.Error(t, unpack(jarOf(t, tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}), dir), name)
		require.NoFileExists(t, filepath.Join(filepath.Dir(dir), "outside"))
	}
	require.Error(t, unpack([]byte("not a zip"), t.TempDir()))
}
