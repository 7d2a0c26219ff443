package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store/eventlog"
)

// resolve follows a reference of a document, such as #/components/schemas/TuneEvent.
func resolve(doc map[string]any, ref string) any {
	var at any = doc
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		object, _ := at.(map[string]any)
		at = object[part]
	}
	return at
}

// references calls visit with every reference below a place of a document.
func references(at any, visit func(ref string)) {
	switch v := at.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			visit(ref)
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			references(v[name], visit)
		}
	case []any:
		for _, one := range v {
			references(one, visit)
		}
	}
}

func asyncDocumentOf(t *testing.T) map[string]any {
	t.Helper()
	s := &Server{}
	body, err := asyncDocument(slices.Concat(s.routes(), s.pageRoutes(), s.docsRoutes()), "test")
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(body, &doc))
	return doc
}

// The AsyncAPI document has every stream of the table of routes and the webhooks, each with its messages, and refers to
// nothing that it does not have.
func TestTheAsyncDocumentHasEveryStream(t *testing.T) {
	doc := asyncDocumentOf(t)
	require.Equal(t, "3.0.0", doc["asyncapi"])
	streams := map[string]bool{}
	for _, r := range (&Server{}).routes() {
		if r.about.media == eventStream {
			streams[strings.Join(bracketed(r.path), "/")] = false
		}
	}
	require.NotEmpty(t, streams)
	channels := doc["channels"].(map[string]any)
	for name, one := range channels {
		channel := one.(map[string]any)
		require.NotEmpty(t, channel["messages"], name)
		require.NotEmpty(t, channel["description"], name)
		address, isStream := channel["address"].(string)
		require.Equal(t, name != "webhooks", isStream, name)
		if !isStream {
			continue
		}
		seen, known := streams[address]
		require.True(t, known && !seen, "%s is not a stream of the table", address)
		streams[address] = true
		require.Equal(t, strings.Contains(address, "{id}"), channel["parameters"] != nil, name)
	}
	for address, described := range streams {
		require.True(t, described, "%s is not described", address)
	}
	require.Len(t, doc["operations"], len(channels), "each channel has one operation")
	references(doc, func(ref string) { require.NotNil(t, resolve(doc, ref), "%s is nowhere", ref) })
	messages := doc["components"].(map[string]any)["messages"].(map[string]any)
	for name, one := range messages {
		message := one.(map[string]any)
		require.NotEmpty(t, message["summary"], name)
		payload := message["payload"].(map[string]any)
		require.NotNil(t, resolve(doc, fmt.Sprint(payload["$ref"])), name)
	}
	own := channels["backtestsTunesEvents"].(map[string]any)["messages"].(map[string]any)
	require.Equal(t, []string{"DeletionEvent", "StreamReport", "TuneEvent"}, slices.Sorted(maps.Keys(own)))
}

// The two documents have the same union of events: no type is of two shapes, each is of a topic that there is, and every
// member is described.
func TestEventsAreADiscriminatedUnion(t *testing.T) {
	s := &Server{}
	body, err := document(slices.Concat(s.routes(), s.docsRoutes()), "test")
	require.NoError(t, err)
	var api map[string]any
	require.NoError(t, json.Unmarshal(body, &api))
	async := asyncDocumentOf(t)
	event := resolve(api, "#/components/schemas/Event").(map[string]any)
	by := event["discriminator"].(map[string]any)
	require.Equal(t, "type", by["propertyName"])
	require.Equal(t, "type", resolve(async, "#/components/schemas/Event").(map[string]any)["discriminator"])
	mapping := by["mapping"].(map[string]any)
	total, topics := 0, map[string]bool{}
	for _, shape := range eventShapes() {
		schema := resolve(api, "#/components/schemas/"+shape.Name).(map[string]any)
		require.Equal(t, schema, resolve(async, "#/components/schemas/"+shape.Name), "the documents differ")
		members := schema["properties"].(map[string]any)
		for name, member := range members {
			require.NotEmpty(t, member.(map[string]any)["description"], "%s.%s", shape.Name, name)
		}
		for _, value := range shape.Values {
			require.Equal(t, "#/components/schemas/"+shape.Name, mapping[value], value)
			total++
		}
		for _, topic := range shape.Closed["topic"] {
			topics[topic] = true
		}
		payload := resolve(api, fmt.Sprint(members["payload"].(map[string]any)["$ref"])).(map[string]any)
		fields, _ := payload["properties"].(map[string]any)
		for name, member := range fields {
			require.NotEmpty(t, member.(map[string]any)["description"], "%s of the payload of %s", name, shape.Name)
		}
	}
	require.Len(t, mapping, total, "a type is of two shapes")
	require.ElementsMatch(t, eventlog.Topics(), slices.Collect(maps.Keys(topics)))
}
