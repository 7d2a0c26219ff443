// Package conventions holds the tests of the repository's own rules: the words it avoids and the reason
// of each dependency.
package conventions
