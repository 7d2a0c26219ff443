// Package api answers HTTP: routes.go is the one table of routes, and each route's handler binds,
// makes one call and renders. No job is worked here.
package api
