package cms

// Rewrite is DER, and says how many headers it read.
func Rewrite(ber []byte) (der []byte, headers int, err error) { return rewrite(ber) }
