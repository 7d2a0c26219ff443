// Package signin signs people in to the console through an OpenID Connect provider: the authorization code flow with
// PKCE, a nonce, and a signed id token, whose claim says what the person may do. It stores nothing and answers no HTTP.
package signin
