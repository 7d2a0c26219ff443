// Package extract makes text out of sources: subtitles, articles, Pine Script, Markdown and the pages
// of a PDF. It is pure: bytes in, a knowledge.Extracted or a *knowledge.Rejection out, in time about
// proportional to the input. What reads PDF files is an engine with a life of its own and lives in
// jobs/worker/ingestion/pdf; the text of its pages comes here.
package extract
