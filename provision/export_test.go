package provision

// Pause is the wait between two tries.
var Pause = pause

// ParseState reads a stored state, and FormatState writes one.
var (
	ParseState  = func(text []byte) (*State, error) { return parseState("file", text) }
	FormatState = formatState
)
