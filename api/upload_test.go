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
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for field, value := range map[string]string{"name": name, "symbol": "SPX", "timeframe": timeframe} {
		require.NoError(r.t, form.WriteField(field, value))
	}
	part, err := form.CreateFormFile("file", "bars.csv")
	require.NoError(r.t, err)
	_, err = part.Write(file)
	require.NoError(r.t, err)
	require.NoError(r.t, form.Close())
	a, err := r.try(http.MethodPost, "/datasets", &body, "Authorization", "Bearer "+key, "Content-Type", form.FormDataContentType())
	require.NoError(r.t, err)
	return a
}
