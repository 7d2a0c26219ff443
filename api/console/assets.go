package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v4"
)

// asset is a file that pages load.
type asset struct {
	kind string
	body []byte
	gzip []byte // the same, compressed
	tag  string // of its content, in its address: a browser may keep it without limit
}

func readAssets() (map[string]asset, error) {
	kinds := map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8",
	}
	names, err := fs.Glob(files, "assets/*")
	if err != nil {
		return nil, fmt.Errorf("console assets: %w", err)
	}
	all := map[string]asset{}
	for _, name := range names {
		body, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("console assets: %w", err)
		}
		sum := sha256.Sum256(body)
		packed, err := compressed(body)
		if err != nil {
			return nil, fmt.Errorf("console assets: %w", err)
		}
		all[path.Base(name)] = asset{kind: kinds[path.Ext(name)], body: body, gzip: packed, tag: hex.EncodeToString(sum[:6])}
	}
	return all, nil
}

// assetPath is the address of an asset in this version.
func (p *Pages) assetPath(name string) (string, error) {
	a, ok := p.assets[name]
	if !ok {
		return "", fmt.Errorf("no asset %q", name)
	}
	return "/admin/assets/" + name + "?v=" + a.tag, nil
}

// Asset handles GET /admin/assets/:name. Style and script hold nothing secret: the login needs them.
func (p *Pages) Asset(c echo.Context) error {
	a, ok := p.assets[c.Param("name")]
	if !ok {
		return echo.NewHTTPError(http.StatusNotFound)
	}
	if c.QueryParam("v") == a.tag {
		c.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	return sendPacked(c, http.StatusOK, a.kind, a.body, a.gzip)
}

// compressed is what a browser that takes it gets in place of the body.
func compressed(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestSpeed+2)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	return out.Bytes(), err
}

// leastPacked is the least body that is worth compressing, in bytes.
const leastPacked = 16 << 10

// send answers with a body, compressed where that saves and the browser takes it.
func send(c echo.Context, status int, kind string, body []byte) error {
	if len(body) < leastPacked || !takesGzip(c) {
		return sendPacked(c, status, kind, body, nil)
	}
	packed, err := compressed(body)
	if err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	return sendPacked(c, status, kind, body, packed)
}

func sendPacked(c echo.Context, status int, kind string, body, packed []byte) error {
	c.Response().Header().Add(echo.HeaderVary, echo.HeaderAcceptEncoding)
	if packed == nil || !takesGzip(c) {
		return c.Blob(status, kind, body)
	}
	c.Response().Header().Set(echo.HeaderContentEncoding, "gzip")
	return c.Blob(status, kind, packed)
}

// takesGzip reports whether the browser names the coding; those that weigh it are sent it as it is.
func takesGzip(c echo.Context) bool {
	for one := range strings.SplitSeq(c.Request().Header.Get(echo.HeaderAcceptEncoding), ",") {
		if strings.TrimSpace(one) == "gzip" {
			return true
		}
	}
	return false
}
