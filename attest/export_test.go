package attest

// KeyParent returns the parent of k as in key files.
func KeyParent(k *Key) uint32 { return k.parent }

// Remarshal reads and writes a TPMT_PUBLIC.
func Remarshal(b []byte) ([]byte, error) {
	a, err := parseArea(b)
	if err != nil {
		return nil, err
	}
	return a.marshal(), nil
}

// ParseKey reads a key file without a TPM.
func ParseKey(text []byte) (*Key, error) { return new(TPM).parseKey(text) }
