package provision

// Pause is the wait between two tries.
var Pause = pause

// ParseState reads a stored state, and FormatState writes one.
var (
	ParseState  = parseState
	FormatState = formatState
)
