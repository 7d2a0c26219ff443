package provider

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"millrace/jobs/knowledge"
)

// mostAnswer bounds what an LLM answers, in bytes.
const mostAnswer = 4 << 20

// httpLLM is what the protocols have in common.
type httpLLM struct {
	*caller
	provider, model string
	call            func(ctx context.Context, messages []knowledge.Message, maxTokens int) (knowledge.Completion, error)
}

func newHTTPLLM(protocol string, e Endpoint) (*httpLLM, error) {
	if e.Model == "" {
		return nil, errors.New("no model is named")
	}
	caller, err := newCaller("llm "+protocol, e, mostAnswer)
	if err != nil {
		return nil, err
	}
	return &httpLLM{caller: caller, provider: protocol, model: e.Model}, nil
}

// Provider implements knowledge.LLM.
func (l *httpLLM) Provider() string { return l.provider }

// Model implements knowledge.LLM.
func (l *httpLLM) Model() string { return l.model }

// Complete implements knowledge.LLM.
func (l *httpLLM) Complete(ctx context.Context, messages []knowledge.Message, maxTokens int) (knowledge.Completion, error) {
	done, err := l.call(ctx, messages, maxTokens)
	if err != nil {
		return knowledge.Completion{}, err
	}
	if done.Text = strings.TrimSpace(done.Text); done.Text == "" {
		return knowledge.Completion{}, l.garbage("the answer is empty")
	}
	return done, nil
}

// chatMessage is a message as all three protocols write it.
type chatMessage struct {
	Role    knowledge.Role `json:"role"`
	Content string         `json:"content"`
}

func chatMessages(messages []knowledge.Message) []chatMessage {
	all := make([]chatMessage, len(messages))
	for i, m := range messages {
		all[i] = chatMessage{m.Role, m.Text}
	}
	return all
}

// NewOpenAILLM speaks to any endpoint that is compatible with OpenAI's POST /chat/completions; the
// URL ends in /v1 there.
func NewOpenAILLM(e Endpoint) (knowledge.LLM, error) {
	l, err := newHTTPLLM("openai", e)
	if err != nil {
		return nil, err
	}
	l.call = func(ctx context.Context, messages []knowledge.Message, maxTokens int) (knowledge.Completion, error) {
		request := map[string]any{"model": e.Model, "messages": chatMessages(messages)}
		// OpenAI's own newer models take neither max_tokens nor a temperature; others know no other name.
		if base, err := url.Parse(e.URL); err == nil && base.Hostname() == "api.openai.com" {
			request["max_completion_tokens"] = maxTokens
		} else {
			request["max_tokens"], request["temperature"] = maxTokens, 0
		}
		var answer struct {
			Choices []struct {
				Message struct {
					Content string `json:"content"`
				} `json:"message"`
				Finish string `json:"finish_reason"`
			} `json:"choices"`
			Usage struct {
				Input  int `json:"prompt_tokens"`
				Output int `json:"completion_tokens"`
			} `json:"usage"`
		}
		if err := l.post(ctx, "/chat/completions", request, &answer); err != nil {
			return knowledge.Completion{}, err
		}
		if len(answer.Choices) == 0 {
			return knowledge.Completion{}, l.garbage("the answer has no choices")
		}
		return knowledge.Completion{
			Text: answer.Choices[0].Message.Content, Truncated: answer.Choices[0].Finish == "length",
			InputTokens: answer.Usage.Input, OutputTokens: answer.Usage.Output,
		}, nil
	}
	return l, nil
}

// NewAnthropicLLM speaks to Anthropic's POST /v1/messages.
func NewAnthropicLLM(e Endpoint) (knowledge.LLM, error) {
	l, err := newHTTPLLM("anthropic", e)
	if err != nil {
		return nil, err
	}
	delete(l.headers, "Authorization")
	l.headers["x-api-key"], l.headers["anthropic-version"] = e.APIKey, "2023-06-01"
	l.call = func(ctx context.Context, messages []knowledge.Message, maxTokens int) (knowledge.Completion, error) {
		var system []string
		var rest []knowledge.Message
		for _, m := range messages {
			if m.Role == knowledge.RoleSystem {
				system = append(system, m.Text)
			} else {
				rest = append(rest, m)
			}
		}
		request := map[string]any{"model": e.Model, "max_tokens": maxTokens, "messages": chatMessages(rest)}
		if len(system) > 0 {
			request["system"] = strings.Join(system, "\n\n")
		}
		var answer struct {
			Content []struct {
				Type string `json:"type"`
				Text string `json:"text"`
			} `json:"content"`
			Stop  string `json:"stop_reason"`
			Usage struct {
				Input  int `json:"input_tokens"`
				Output int `json:"output_tokens"`
			} `json:"usage"`
		}
		if err := l.post(ctx, "/v1/messages", request, &answer); err != nil {
			return knowledge.Completion{}, err
		}
		done := knowledge.Completion{Truncated: answer.Stop == "max_tokens", InputTokens: answer.Usage.Input, OutputTokens: answer.Usage.Output}
		for _, part := range answer.Content {
			if part.Type == "text" {
				done.Text += part.Text
			}
		}
		return done, nil
	}
	return l, nil
}

// NewOllamaLLM speaks to Ollama's POST /api/chat.
func NewOllamaLLM(e Endpoint) (knowledge.LLM, error) {
	l, err := newHTTPLLM("ollama", e)
	if err != nil {
		return nil, err
	}
	l.call = func(ctx context.Context, messages []knowledge.Message, maxTokens int) (knowledge.Completion, error) {
		request := map[string]any{
			"model": e.Model, "messages": chatMessages(messages), "stream": false,
			"options": map[string]any{"temperature": 0, "num_predict": maxTokens},
		}
		var answer struct {
			Message chatMessage `json:"message"`
			Done    string      `json:"done_reason"`
			Input   int         `json:"prompt_eval_count"`
			Output  int         `json:"eval_count"`
		}
		if err := l.post(ctx, "/api/chat", request, &answer); err != nil {
			return knowledge.Completion{}, err
		}
		return knowledge.Completion{
			Text: answer.Message.Content, Truncated: answer.Done == "length", InputTokens: answer.Input, OutputTokens: answer.Output,
		}, nil
	}
	return l, nil
}
