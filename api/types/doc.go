// Package types holds the JSON that the API takes and gives: one struct for each resource, request
// and event, with the members in the order in which the server writes them. The server's handlers
// render them, its OpenAPI document is made of them, and package client decodes them.
//
// Ids are UUIDs in their text form. Times are RFC 3339, UTC. A pointer is null where there is no
// value; a figure that cannot be computed is null too, and its reason is in the member "undefined"
// beside it. Fields that end in Pct are percent, those that end in MS are milliseconds.
//
// The package imports nothing else of Millrace, so a program that speaks to a server links none of it.
package types
