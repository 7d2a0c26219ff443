package api_test

import (
	"bytes"
	"mime/multipart"
	"net/http"

	"github.com/stretchr/testify/require"
)

func (r *fixture) upload(key, name string, file []byte) answer {
	r.t.Helper()
	return r.uploadAs(key, "1d", name, file)
}

func (r *fixture) uploadAs(key, timeframe, name string, file []byte) answer {
	r.t.Helper()
	return r.sendBars(key, "/datasets", file, map[string]string{"name": name, "symbol": "SPX", "timeframe": timeframe})
}

// sendBars sends a file of bars as a form.
func (r *fixture) sendBars(key, path string, file []byte, fields map[string]string) answer {
	r.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for field, value := range fields {
		require.NoError(r.t, form.WriteField(field, value))
	}
	part, err := form.CreateFormFile("file", "bars.csv")
	require.NoError(r.t, err)
	_, err = part.Write(file)
	require.NoError(r.t, err)
	require.NoError(r.t, form.Close())
	a, err := r.try(http.MethodPost, path, &body, "Authorization", "Bearer "+key, "Content-Type", form.FormDataContentType())
	require.NoError(r.t, err)
	return a
}
