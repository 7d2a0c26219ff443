package client_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"millrace/api/client"
	"millrace/api/types"
)

// canned is a server in place of a real one, whose address and key `millrace dev` writes to .millrace/dev.env. It
// answers a method and path with a body.
func canned(bodies map[string]string) (api *client.Client, end func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, found := bodies[r.Method+" "+r.URL.RequestURI()]
		switch {
		case r.URL.Path == "/events/stream":
			w.Header().Set("Content-Type", "text/event-stream")
		case !found:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			body = `{"type":"about:blank","title":"Not Found","status":404,"detail":"There is no tune of this id."}`
		}
		fmt.Fprint(w, body)
	}))
	api, err := client.New(client.Options{URL: server.URL, Key: "mr_…"})
	if err != nil {
		log.Fatal(err)
	}
	return api, server.Close
}

// A tune is submitted once, whatever is repeated under its key, and followed to its end.
func Example() {
	api, end := canned(map[string]string{
		"POST /backtests/tune": `{"tune_id":"0193f2","status":"queued","n_trials":30}`,
		"GET /backtests/tunes/0193f2?leaderboard=10": `{"tune_id":"0193f2","status":"completed","n_trials":30,
			"leaderboard":[{"rank":1,"params":{"fast":10,"slow":200},"score":0.34}]}`,
	})
	defer end()
	ctx := context.Background()
	tune, err := api.SubmitTune(ctx, "my-first-tune", types.TuneRequest{
		Dataset: "sp500",
		Spec: types.Spec{
			StrategyName: "sma_cross",
			ParamSpace: map[string]types.ParamRange{
				"fast": {RangeObject: types.RangeObject{Low: new(5.0), High: new(50.0), Step: new(5.0)}},
				"slow": {Values: []float64{50, 100, 200}},
			},
			Constraints: []string{"fast < slow"},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tune.Status, tune.NTrials)
	ended, err := api.FollowTune(ctx, tune.TuneID, 10, func(now types.Tune) { fmt.Println(now.Status) })
	if err != nil {
		log.Fatal(err)
	}
	best := ended.Leaderboard[0].Value
	fmt.Println(best.Params["fast"], best.Params["slow"], best.Score)
	// Output:
	// queued 30
	// completed
	// 10 200 0.34
}

// A walk-forward is a tune's request with the windows of its folds.
func ExampleClient_SubmitWFO() {
	api, end := canned(map[string]string{"POST /backtests/wfo": `{"wfo_id":"0193f3","status":"pending","n_folds":12}`})
	defer end()
	run, err := api.SubmitWFO(context.Background(), "", types.WFORequest{
		TuneRequest: types.TuneRequest{Dataset: "sp500", Spec: types.Spec{
			StrategyName: "rsi_reversal", ParamSpace: map[string]types.ParamRange{"period": {Values: []float64{7, 14, 21}}},
		}},
		WFOConfig: types.WFOConfig{TrainDays: new(1460), TestDays: new(365)},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.WFOID, run.Status, run.NFolds)
	// Output: 0193f3 pending 12
}

// A dataset is a file with a name, a symbol and a timeframe.
func ExampleClient_UploadDataset() {
	api, end := canned(map[string]string{"POST /datasets": `{"dataset_id":"0193f4","name":"spx","bars":2}`})
	defer end()
	file := client.Bytes("prices.csv", []byte("date,open,high,low,close\n2024-01-02,1,2,1,2\n2024-01-03,2,3,2,3\n"))
	made, err := api.UploadDataset(context.Background(), file, map[string]string{"name": "spx", "symbol": "SPX", "timeframe": "1d"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(made.Name, made.Bars)
	// Output: spx 2
}

// A question is answered from the documents of the workspace, with its sources.
func ExampleClient_Query() {
	api, end := canned(map[string]string{"POST /query": `{"mode":"retrieve","results":[{"title":"Notes","score":0.9}]}`})
	defer end()
	found, err := api.Query(context.Background(), types.QueryRequest{Question: "When does a crossover fail?", Mode: "retrieve"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(found.Results), found.Mode)
	// Output: 1 retrieve
}

// Each reads a list page by page.
func ExampleEach() {
	api, end := canned(map[string]string{
		"GET /datasets?limit=200":              `{"items":[{"name":"spx"}],"next_cursor":"later"}`,
		"GET /datasets?cursor=later&limit=200": `{"items":[{"name":"ndx"}],"next_cursor":null}`,
	})
	defer end()
	err := client.Each(context.Background(), api.Datasets, func(d types.Dataset) error {
		fmt.Println(d.Name)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// spx
	// ndx
}

// An error says what the server says.
func ExampleIsNotFound() {
	api, end := canned(nil)
	defer end()
	_, err := api.Tune(context.Background(), "0193f5", 0)
	fmt.Println(client.IsNotFound(err), client.Temporary(err))
	fmt.Println(err)
	// Output:
	// true false
	// 404 Not Found: There is no tune of this id.
}
