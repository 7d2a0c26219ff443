// Package sandbox extracts text from untrusted files in child processes of our own program. A file of two
// kilobytes can ask for gigabytes or for hours; in a child it meets the kernel's limits on memory and
// processor time and the parent's on wall time, and what dies is the child. The parent never holds a whole
// file or decodes one: it copies the source into the child and reads chunks back, under a budget.
//
// A child serves one workspace only, many files one after the other, and ends when it is idle, when it has
// grown, or when its parent is gone. It gets an empty environment and no descriptor but its pipes.
package sandbox
