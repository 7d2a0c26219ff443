package console

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
)

// LoadSample handles POST /admin/datasets/sample: it uploads the bundled S&P 500 as any file is, and leads to
// a first tune of it. Loading it again stores nothing more.
func (p *Pages) LoadSample(c echo.Context) error {
	v, err := p.page(c, "Datasets", "Datasets")
	if err != nil {
		return err
	}
	if v.Workspace == nil {
		return notFound()
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for field, value := range map[string]string{"name": "sp500", "symbol": "SPX", "timeframe": "1d"} {
		if err := form.WriteField(field, value); err != nil {
			return fmt.Errorf("upload of the sample: %w", err)
		}
	}
	part, err := form.CreateFormFile("file", "sp500.csv")
	if err == nil {
		_, err = part.Write(ohlcv.Sample())
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return fmt.Errorf("upload of the sample: %w", err)
	}
	answer, err := p.call(c, v, Request{Method: http.MethodPost, Path: "/datasets", ContentType: form.FormDataContentType(), Body: &body})
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showDatasets(c, problem.Status, problem)
	}
	var stored types.Dataset
	if err := answer.into(&stored); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/admin/tunes/new?"+url.Values{"dataset": {stored.Name}}.Encode())
}
