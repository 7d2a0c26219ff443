// Package chart draws figures as SVG on the server. A chart is styled by the page's style sheet
// through classes, so that it follows the reader's colours, and it carries no style attribute, which
// a strict content security policy forbids. Every chart names itself to readers that do not see it.
package chart
