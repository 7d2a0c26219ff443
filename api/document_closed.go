package api

import (
	"millrace/jobs/knowledge"
	"millrace/jobs/pine/syntax"
	"millrace/jobs/sweep"
	"millrace/jobs/sweep/evidence"
	"millrace/store/eventlog"
	"millrace/store/labels"
	"millrace/store/library"
	"millrace/store/lifecycle"
	"millrace/store/upkeep"
	"millrace/store/webhooks"
)

// closedMembers are the members of the wire types, by the type's name and theirs, that are texts with a closed set of values,
// from the constants that they come from.
func closedMembers() map[string][]string {
	kinds := words(lifecycle.AllKinds())
	outcomes := words(library.Outcomes())
	return map[string][]string{
		"Deletion.kind": words(lifecycle.Deletable()), "Dependant.kind": kinds, "Archived.kind": kinds,
		"BulkRequest.kind": words(lifecycle.BulkKinds()), "BulkRequest.action": words(lifecycle.Actions()),
		"BulkResult.kind": words(lifecycle.BulkKinds()), "BulkResult.action": words(lifecycle.Actions()),
		"Document.status":      {documentPending, documentReady},
		"IngestProgress.stage": words(library.Stages()), "IngestEvent.stage": words(library.Stages()),
		"Ingest.outcome": outcomes, "IngestEvent.outcome": outcomes, "ScheduleResult.outcome": append(outcomes, ""),
		"Gap.kind": knowledge.IntentKinds(), "GapState.kind": knowledge.IntentKinds(),
		"RetentionRun.status": retentionStatuses(), "RetentionRun.source": upkeep.Sources(), "RetentionReport.source": upkeep.Sources(),
		"Retention.scheduler": {upkeep.SourceCron, upkeep.SourceRiver},
		"Label.kind":          words(labels.Kinds()),
		"QueryRequest.mode":   {modeAnswer, modeRetrieve, ""}, "Query.mode": {modeAnswer, modeRetrieve},
		"Variant.kind":           sweep.VariantKinds(),
		"ScheduleResult.verdict": append(words(evidence.Verdicts()), ""),
		"Diagnostic.severity":    {string(syntax.Error), string(syntax.Warning), string(syntax.Note)},
		"Delivery.kind":          words(webhooks.Kinds()),
		"WebhookNote.type":       {"webhook." + string(webhooks.Test), "webhook." + string(webhooks.Reset)},
		"StreamReport.type":      {controlReset, controlCursor, controlEnd},
		"WebhookRequest.topics":  eventlog.Topics(), "WebhookChange.topics": eventlog.Topics(), "Webhook.topics": eventlog.Topics(),
		"AuditActor.kind": {"key", "admin", "nobody"}, "AuditEntry.outcome": {"ok", "refused"},
		"RangeObject.type": {"int", "float", ""},
		"Strategy.class":   {"S", "B", "P"},
		"Status.status":    {"ok"},
	}
}

// openMembers are texts whose names sound as if their values were a closed set, and why they are not.
func openMembers() map[string]string {
	return map[string]string{
		"Problem.type": "a URI, of RFC 9457", "ProblemError.type": "a URI, of RFC 9457",
		"Event.type": "closed in the union of events", "Event.topic": "closed in the union of events",
		"WebhookMessage.type": "that of the event", "Delivery.type": "that of the event, and newer servers have more", "Delivery.topic": "empty where it is not an event",
		"Dependant.status": "of any kind of thing", "Label.status": "of any kind of thing", "BulkFilter.status": "of the kind that it names, which the server checks",
		"Gap.intent": "a signature", "GapState.intent": "a signature", "Trade.exit_reason": "scripts name their own",
		"Explanation.provider": "the operator's", "ReembedRequest.provider": "the operator's", "Reembed.provider": "the operator's",
		"Reembed.collection": "a name", "ReembedProgress.collection": "a name", "Reading.format": "of the file, and readers learn more",
		"RecommendCandidate.objective_type": "as it was stored", "AuditEntity.type": "of what routes change, and there come more",
		"JobChange.kind": "of the queue, and there come more", "JobRefusal.kind": "of the queue, and there come more",
		"IngestRequest.source": "an address or a path", "StrategyRequest.source": "a script", "StrategyCheckRequest.source": "a script", "StrategySource.source": "a script",
		"WorkspaceContent.kind": "tables, and there come more", "Pruning.type": "one today, and there come more",
		"WebhookRequest.types": "whole, or up to .*", "WebhookChange.types": "whole, or up to .*", "Webhook.types": "whole, or up to .*",
	}
}
