// Package portability holds the tests that results do not depend on the machine. They compile for another
// architecture, which takes a while.
package portability
