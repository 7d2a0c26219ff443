package localpg

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/ulikunitz/xz"
)

const (
	downloadSource  = "https://repo1.maven.org/maven2"
	downloadVersion = "17.5.0"
	downloadMajor   = 17
	downloadLimit   = 64 << 20 // bytes; the archives are about 15 MB
	downloadTimeout = 10 * time.Minute
)

// checksums are the SHA-256 of zonky's embedded-postgres-binaries archives of downloadVersion, as
// published beside them on Maven Central.
func checksums() map[string]string {
	return map[string]string{
		"linux-amd64":        "646f3269075d1a23904127374e3cdbcef96beb32979fedee25d835877400fcbe",
		"linux-arm64v8":      "e02f27ff50ff2d90b6541d54f3f108505aacd84ea53c2890e976a684bfea2752",
		"linux-amd64-alpine": "7122386c7f7a089568f05720ada63448093d4065abbc0a89e6dc660851a53e3c",
		"darwin-amd64":       "fb70f783928e77c3d6ef5ca8ed644f1ac502f740fcfc032a375c8347820f2bdd",
		"darwin-arm64v8":     "e9d3398e10c2ec926395498b03e75ad1a24eeaed82895e756a7e173b202cf6de",
	}
}

// Download fetches the server's programs for this machine from the Maven repository at source,
// once: later calls find them below cache. The archive must have the checksum that this package
// knows. The folder with the programs is returned.
func Download(ctx context.Context, source, cache string, logger *slog.Logger) (string, error) {
	platform := platformName(runtime.GOOS, runtime.GOARCH, exists("/etc/alpine-release"))
	sum, ok := checksums()[platform]
	if !ok {
		return "", fmt.Errorf("no Postgres programs found, and none to download for %s: install PostgreSQL %d or later", platform, oldest)
	}
	target := filepath.Join(cache, "postgres-"+downloadVersion+"-"+platform)
	bin := filepath.Join(target, "bin")
	if exists(bin) {
		return bin, nil
	}
	name := "embedded-postgres-binaries-" + platform
	url := source + "/io/zonky/test/postgres/" + name + "/" + downloadVersion + "/" + name + "-" + downloadVersion + ".jar"
	logger.Info("downloading postgres, which this machine lacks", "version", downloadVersion, "from", url)
	jar, err := fetch(ctx, url, sum)
	if err != nil {
		return "", fmt.Errorf("no Postgres programs found (install PostgreSQL, or set DATABASE_URL); download: %w", err)
	}
	if err := install(jar, target); err != nil {
		return "", fmt.Errorf("unpack %s: %w", url, err)
	}
	return bin, nil
}

func platformName(goos, arch string, alpine bool) string {
	if arch == "arm64" {
		arch = "arm64v8"
	}
	if goos == "linux" && alpine {
		arch += "-alpine"
	}
	return goos + "-" + arch
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func fetch(ctx context.Context, url, sum string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, downloadLimit))
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(body); hex.EncodeToString(got[:]) != sum {
		return nil, fmt.Errorf("%s: checksum is %x, want %s", url, got, sum)
	}
	return body, nil
}

// install unpacks the archive beside target and renames it last, so that a target found is whole.
func install(jar []byte, target string) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	building, err := os.MkdirTemp(filepath.Dir(target), "unpack-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(building) }()
	if err := unpack(jar, building); err != nil {
		return err
	}
	if err := os.Chmod(building, 0o755); err != nil {
		return err
	}
	if err := os.Rename(building, target); err != nil && !exists(target) { // another process may have been first
		return err
	}
	return nil
}

// unpack writes the tree in the jar's one .txz member below dir, and nothing outside it.
func unpack(jar []byte, dir string) error {
	archive, err := openTar(jar)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := extract(root, header, archive); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}

func openTar(jar []byte) (*tar.Reader, error) {
	zipped, err := zip.NewReader(bytes.NewReader(jar), int64(len(jar)))
	if err != nil {
		return nil, err
	}
	for _, member := range zipped.File {
		if !strings.HasSuffix(member.Name, ".txz") {
			continue
		}
		r, err := member.Open()
		if err != nil {
			return nil, err
		}
		unpacked, err := xz.NewReader(bufio.NewReader(r))
		if err != nil {
			return nil, err
		}
		return tar.NewReader(unpacked), nil
	}
	return nil, errors.New("no .txz in the archive")
}

func extract(root *os.Root, header *tar.Header, content io.Reader) error {
	name := filepath.Clean(header.Name)
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeSymlink:
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return root.Symlink(header.Linkname, name)
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		file, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_EXCL, fs.FileMode(header.Mode)&0o755|0o444)
		if err != nil {
			return err
		}
		if _, err := io.Copy(file, content); err != nil {
			_ = file.Close()
			return err
		}
		return file.Close()
	}
	return fmt.Errorf("unexpected type %q", header.Typeflag)
}
