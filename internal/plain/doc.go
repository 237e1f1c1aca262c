// Package plain says in plain words what errors of Go's packages say in words for
// programmers, such as "invalid character '<' looking for beginning of value". The
// errors themselves stay in the chain, so [errors.Is] and [errors.As] find them.
package plain
