package whiteglove

// Pause is the wait between two tries.
var Pause = pause

// ParseState reads a stored state.
var ParseState = parseState
