package cms

// Rewrite is DER, and also returns how many headers it read.
func Rewrite(ber []byte) (der []byte, headers int, err error) { return rewrite(ber) }
