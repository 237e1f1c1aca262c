package whiteglove

// Pause is the wait between two tries.
var Pause = pause

// ParseState reads a stored state, and FormatState writes one.
var (
	ParseState  = parseState
	FormatState = formatState
)

// CommandName returns what a trace calls a TPM command.
func CommandName(command []byte) string {
	name, _ := commandName(command)
	return name
}
