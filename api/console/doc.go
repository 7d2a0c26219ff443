// Package console draws the pages under /admin: server-side HTML and SVG, and one small script that
// keeps them current from the event stream.
//
// The console is the API's first client. What a form asks for is sent to the API's own route, inside
// the process, so that it is bound, checked, limited and refused by the same code as a script's
// request, and the page shows the fields that the answer names.
package console
