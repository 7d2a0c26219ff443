package health

import (
	"context"
	"fmt"

	"millrace/jobs/knowledge"
	"millrace/ops"
)

func (c checks) vectorsName() string {
	if c.Vectors != nil && c.Vectors.Kind != "qdrant" {
		return c.Vectors.Kind
	}
	return "qdrant"
}

func (c checks) vectors(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "qdrant.md#qdrant"}
	if c.Vectors == nil {
		r.Raise(ops.StatusUnknown, "this process has no vector index", "")
		return r
	}
	used, err := c.Store.Library.Collections(ctx)
	if err != nil {
		return failed(r, err)
	}
	var vectors int64
	var segments int
	var absent []string
	for _, collection := range used {
		info, err := c.Vectors.Index.Info(ctx, collection)
		if err != nil {
			r.Add("last_error", err.Error())
			r.Raise(ops.StatusError, err.Error(), "Is the vector index up, and does QDRANT_URL lead to it?")
			return r
		}
		vectors, segments = vectors+info.Vectors, segments+info.Segments
		if !info.Exists {
			info.Status = "missing"
			absent = append(absent, collection.Name)
		}
		r.Add("collection "+collection.Name, info.Status)
		switch {
		case !info.Exists:
		case info.Trouble != "":
			r.Raise(ops.StatusDegraded, info.Trouble,
				"Ingestions are refused meanwhile. Delete the collection in the index, then embed the workspaces that use it again.")
		case info.Status != "green" && info.Status != "yellow": // yellow optimises, and serves meanwhile
			r.Raise(ops.StatusDegraded, fmt.Sprintf("the status of the collection %s is %s", collection.Name, info.Status),
				"Look at the index's own log: it has lost a part, or its optimisation waits.")
		}
	}
	if len(used) == 0 {
		// Nothing was ingested yet; still, the index has to answer.
		if _, err := c.Vectors.Index.Info(ctx, nothing); err != nil {
			r.Add("last_error", err.Error())
			r.Raise(ops.StatusError, err.Error(), "Is the vector index up, and does QDRANT_URL lead to it?")
		}
	}
	c.missing(ctx, &r)
	for _, name := range absent {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("the collection %s is not there, though documents are", name),
			"The index has lost it: embed every workspace that uses it again, by millrace admin workspace reembed.")
	}
	r.Add("vectors", vectors)
	r.Add("segments", segments)
	r.Raise(ops.StatusOK, counted(vectors, "vector"), "")
	return r
}

// nothing is a collection that nobody makes.
var nothing = knowledge.Collection{Name: "none", Dimensions: 1}

// degradedShare is the share of calls that may do without the LLM.
const degradedShare = 0.1

func (c checks) llm(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "llm.md#llm"}
	r.Add("configured", c.LLM.Provider != "")
	if c.LLM.Provider != "" {
		r.Add("provider", c.LLM.Provider)
		r.Add("model", c.LLM.Model)
	}
	state, err := c.Store.Upkeep.LLMState(ctx)
	if err != nil {
		return failed(r, err)
	}
	r.Add("calls_1h", state.Calls1h)
	r.Add("degraded_1h", state.Degraded1h)
	r.Add("errors_1h", state.Errors1h)
	r.Add("last_success_at", state.LastOK)
	r.Add("last_error_at", state.LastError)
	r.Add("last_error", state.LastReason)
	const advice = "Look at the provider's status page, the key and the model's name; answers are extractive meanwhile."
	if state.Calls15m > 0 && state.Failed15m == state.Calls15m {
		r.Raise(ops.StatusError, fmt.Sprintf("all %d calls of the last 15 minutes failed", state.Calls15m), advice)
	}
	if float64(state.Degraded1h) > degradedShare*float64(state.Calls1h) {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("%d of %d calls of the last hour failed", state.Degraded1h, state.Calls1h), advice)
	}
	if c.LLM.Provider == "" {
		r.Raise(ops.StatusOK, "none is set up: answers are extractive", "")
	}
	r.Raise(ops.StatusOK, counted(state.Calls1h, "call")+" in the last hour", "")
	return r
}
