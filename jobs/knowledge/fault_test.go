package knowledge_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
)

func TestErrorsAreMappedToTheirKind(t *testing.T) {
	t.Parallel()
	fault := &knowledge.Fault{Kind: knowledge.FaultRateLimit, Part: "llm", Status: 429}
	tests := []struct {
		err    error
		kind   knowledge.FaultKind
		reason knowledge.Reason
		again  bool
	}{
		{context.DeadlineExceeded, knowledge.FaultTimeout, knowledge.ReasonTimeout, true},
		{&net.DNSError{IsTimeout: true}, knowledge.FaultTimeout, knowledge.ReasonTimeout, true},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, knowledge.FaultUnreachable, knowledge.ReasonError, true},
		{fmt.Errorf("answer: %w", fault), knowledge.FaultRateLimit, knowledge.ReasonRateLimit, true},
		{&knowledge.Fault{Kind: knowledge.FaultUnconfigured}, knowledge.FaultUnconfigured, knowledge.ReasonUnconfigured, false},
		{&knowledge.Fault{Kind: knowledge.FaultRefused}, knowledge.FaultRefused, knowledge.ReasonError, false},
		{errors.New("odd"), knowledge.FaultProvider, knowledge.ReasonError, true},
	}
	for _, test := range tests {
		fault := knowledge.AsFault("llm", test.err)
		require.Equal(t, test.kind, fault.Kind, "%v", test.err)
		require.Equal(t, test.reason, knowledge.ReasonOf(test.err), "%v", test.err)
		require.Equal(t, test.again, fault.Temporary(), "%v", test.err)
		require.ErrorContains(t, fmt.Errorf("wrapped: %w", fault), string(test.kind))
	}
	require.Nil(t, knowledge.AsFault("llm", nil))
	require.Empty(t, knowledge.ReasonOf(nil))
	require.Empty(t, knowledge.Reason("").Sentence())
}
