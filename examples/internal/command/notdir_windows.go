package command

import "io/fs"

// errNotDir is the error for a path that goes through a file.
var errNotDir = fs.ErrNotExist
