// Package providertest is a server for tests that speaks the protocols of OpenAI, Anthropic, Ollama
// and the rerankers as their references have them, checks what it is sent, and fails in the ways
// that providers fail.
package providertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"millrace/jobs/knowledge"
)

// Failure is a way to fail.
type Failure string

// The failures.
const (
	None        Failure = ""
	RateLimited Failure = "429"      // with Retry-After: 1
	Broken      Failure = "500"      // with an error object
	Denied      Failure = "401"      // repeats the key, as some do
	Garbage     Failure = "garbage"  // 200 and HTML
	Senseless   Failure = "empty"    // 200 and JSON without the requested content
	Huge        Failure = "huge"     // 200 and no end
	Hanging     Failure = "hang"     // no answer until the client leaves
	Cut         Failure = "cut"      // the connection closes in the middle of the answer
	Redirecting Failure = "redirect" // to itself
)

// Key is the key that the server wants.
const Key = "sk-providertest-0123456789"

// Server is the server. Its vectors are those of the hash embedder.
type Server struct {
	URL   string // OpenAI's and the rerankers' base is URL + "/v1"
	Calls atomic.Int64

	mu      sync.Mutex
	failure Failure
	reply   func(messages []knowledge.Message) string
	score   func(query, text string) float64
	server  *httptest.Server
	closing chan struct{}
}

// New starts a server that lives as long as the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		closing: make(chan struct{}),
		reply:   func([]knowledge.Message) string { return "The first passage says so [1]." },
		score:   func(query, text string) float64 { return float64(strings.Count(text, query)) },
	}
	mux := http.NewServeMux()
	for path, handle := range map[string]func(map[string]any, *http.Request) (any, error){
		"POST /v1/embeddings": s.openAIEmbeddings, "POST /api/embed": s.ollamaEmbeddings,
		"POST /v1/chat/completions": s.openAIChat, "POST /v1/messages": s.anthropicMessages,
		"POST /api/chat": s.ollamaChat, "POST /v1/rerank": s.rerank,
	} {
		mux.HandleFunc(path, s.handler(handle))
	}
	s.server = httptest.NewServer(mux)
	s.URL = s.server.URL
	t.Cleanup(func() { close(s.closing); s.server.Close() })
	return s
}

// Fail makes every call fail in one way, until Fail(None).
func (s *Server) Fail(failure Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = failure
}

// Reply sets what language models answer.
func (s *Server) Reply(reply func(messages []knowledge.Message) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reply = reply
}

// Score sets what rerankers think of a text.
func (s *Server) Score(score func(query, text string) float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.score = score
}

func (s *Server) handler(handle func(map[string]any, *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.Calls.Add(1)
		s.mu.Lock()
		failure := s.failure
		s.mu.Unlock()
		if failure != None {
			s.fail(w, r, failure)
			return
		}
		var request map[string]any
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		if !strings.HasPrefix(r.URL.Path, "/api/") && r.Header.Get("Authorization") != "Bearer "+Key && r.Header.Get("x-api-key") != Key {
			refuse(w, http.StatusUnauthorized, "Incorrect API key provided")
			return
		}
		answer, err := handle(request, r)
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message}})
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, failure Failure) {
	switch failure {
	case RateLimited:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusTooManyRequests, "Rate limit reached")
	case Broken:
		refuse(w, http.StatusInternalServerError, "The server had an error")
	case Denied:
		refuse(w, http.StatusUnauthorized, "Incorrect API key provided: "+r.Header.Get("Authorization")+r.Header.Get("x-api-key"))
	case Garbage:
		_, _ = fmt.Fprint(w, "<html>Welcome to nginx!</html>")
	case Senseless:
		_, _ = fmt.Fprint(w, `{"object":"list"}`)
	case Huge:
		for r.Context().Err() == nil {
			if _, err := w.Write([]byte(strings.Repeat(" ", 1<<16))); err != nil {
				return
			}
		}
	case Hanging:
		select {
		case <-r.Context().Done():
		case <-s.closing:
		}
	case Cut:
		w.Header().Set("Content-Length", "1000")
		_, _ = fmt.Fprint(w, `{"data":[`)
		panic(http.ErrAbortHandler)
	case Redirecting:
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	}
}

// inputs are the texts to embed, which no provider takes empty.
func inputs(request map[string]any) ([]string, error) {
	list, _ := request["input"].([]any)
	if request["model"] == nil || len(list) == 0 || len(list) > 2048 {
		return nil, fmt.Errorf("model and 1 to 2048 inputs are required")
	}
	texts := make([]string, len(list))
	for i, item := range list {
		if texts[i], _ = item.(string); texts[i] == "" {
			return nil, fmt.Errorf("input %d is empty", i)
		}
	}
	return texts, nil
}

func embed(r *http.Request, request map[string]any) ([][]float32, error) {
	texts, err := inputs(request)
	if err != nil {
		return nil, err
	}
	return knowledge.HashEmbedder{}.Embed(r.Context(), knowledge.ForDocument, texts)
}

// openAIEmbeddings answers in reverse: a client has to go by the index.
func (s *Server) openAIEmbeddings(request map[string]any, r *http.Request) (any, error) {
	vectors, err := embed(r, request)
	if err != nil || request["encoding_format"] != "float" {
		return nil, fmt.Errorf("encoding_format must be float: %w", err)
	}
	data := []any{}
	for i := len(vectors) - 1; i >= 0; i-- {
		data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": vectors[i]})
	}
	return map[string]any{"object": "list", "data": data, "model": request["model"]}, nil
}

func (s *Server) ollamaEmbeddings(request map[string]any, r *http.Request) (any, error) {
	vectors, err := embed(r, request)
	return map[string]any{"model": request["model"], "embeddings": vectors}, err
}

// messages checks a conversation: known roles, no empty message, the user's last.
func (s *Server) messages(request map[string]any, roles ...string) (string, error) {
	list, _ := request["messages"].([]any)
	var all []knowledge.Message
	for _, item := range list {
		message, _ := item.(map[string]any)
		role, _ := message["role"].(string)
		content, _ := message["content"].(string)
		if !strings.Contains(strings.Join(roles, " "), role) || content == "" {
			return "", fmt.Errorf("a message of role %q with %d bytes", role, len(content))
		}
		all = append(all, knowledge.Message{Role: knowledge.Role(role), Text: content})
	}
	if request["model"] == nil || len(all) == 0 || all[len(all)-1].Role != knowledge.RoleUser {
		return "", fmt.Errorf("model and messages that end with the user's are required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reply(all), nil
}

// finish is why a reply ends: one of fewer than 8 tokens is cut short.
func finish(most any, short, whole string) string {
	if n, ok := most.(float64); ok && n < 8 {
		return short
	}
	return whole
}

func (s *Server) openAIChat(request map[string]any, _ *http.Request) (any, error) {
	text, err := s.messages(request, "system", "user", "assistant")
	return map[string]any{
		"object":  "chat.completion",
		"choices": []any{map[string]any{"index": 0, "finish_reason": finish(request["max_tokens"], "length", "stop"), "message": map[string]any{"role": "assistant", "content": text}}},
		"usage":   map[string]any{"prompt_tokens": 11, "completion_tokens": 7},
	}, err
}

func (s *Server) anthropicMessages(request map[string]any, r *http.Request) (any, error) {
	if r.Header.Get("anthropic-version") == "" || request["max_tokens"] == nil {
		return nil, fmt.Errorf("anthropic-version and max_tokens are required")
	}
	text, err := s.messages(request, "user", "assistant")
	return map[string]any{
		"type": "message", "role": "assistant", "content": []any{map[string]any{"type": "text", "text": text}},
		"stop_reason": finish(request["max_tokens"], "max_tokens", "stop_sequence"),
		"usage":       map[string]any{"input_tokens": 11, "output_tokens": 7},
	}, err
}

func (s *Server) ollamaChat(request map[string]any, _ *http.Request) (any, error) {
	if request["stream"] != false {
		return nil, fmt.Errorf("this server does not stream")
	}
	text, err := s.messages(request, "system", "user", "assistant")
	options, _ := request["options"].(map[string]any)
	return map[string]any{
		"message": map[string]any{"role": "assistant", "content": text}, "done": true, "done_reason": finish(options["num_predict"], "length", "stop"), "prompt_eval_count": 11, "eval_count": 7,
	}, err
}

func (s *Server) rerank(request map[string]any, _ *http.Request) (any, error) {
	query, _ := request["query"].(string)
	documents, _ := request["documents"].([]any)
	if query == "" || len(documents) == 0 {
		return nil, fmt.Errorf("query and documents are required")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	results := []any{}
	for i := len(documents) - 1; i >= 0; i-- {
		text, _ := documents[i].(string)
		results = append(results, map[string]any{"index": i, "relevance_score": s.score(query, text)})
	}
	return map[string]any{"results": results}, nil
}
