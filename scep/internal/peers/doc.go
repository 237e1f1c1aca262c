// Package peers compares package scep with other SCEP software. It is a module
// of its own, so that their requirements are nobody else's.
package peers
