// Package pdf reads the text of PDF files with PDFium, the engine of Chromium, compiled to WebAssembly
// and run by wazero: pure Go to build, and whatever a hostile file does to the engine stays inside a
// sandbox that has no files, no network and a bounded memory, and that is thrown away after the file.
//
// It is not in jobs/knowledge, where the other extractors are, because an engine is not a pure function: it
// is compiled once a process, which takes seconds, keeps that in memory and in a cache folder, hands
// out a bounded number of sandboxes, and kills them when a file takes too long.
//
// Measured on two cores: compiling takes 4.5 s and peaks at 340 MB, from a warm cache folder 0.1 s and
// 50 MB; a sandbox takes 5 ms.
package pdf
