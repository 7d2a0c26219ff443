package console

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"

	"github.com/labstack/echo/v4"
)

// asset is a file that pages load.
type asset struct {
	kind string
	body []byte
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
		all[path.Base(name)] = asset{kind: kinds[path.Ext(name)], body: body, tag: hex.EncodeToString(sum[:6])}
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
	return c.Blob(http.StatusOK, a.kind, a.body)
}
