package attest

import (
	"crypto"
	"crypto/hmac"
	"encoding/binary"
)

// kdfa is the function KDFa of TCG Part 1, 11.4.10.2, for whole bytes.
func kdfa(h crypto.Hash, key []byte, label string, u, v []byte, bits int) []byte {
	m := hmac.New(h.New, key)
	size := 4 + len(label) + 1 + len(u) + len(v) + 4
	info := make([]byte, 4, size+bits/8+h.Size()) // a counter in front, the result behind
	info = append(append(info, label...), 0)
	info = append(append(info, u...), v...)
	info = binary.BigEndian.AppendUint32(info, uint32(bits))
	out := info[size:]
	for i := uint32(1); ; i++ {
		binary.BigEndian.PutUint32(info, i)
		m.Write(info)
		out = m.Sum(out)
		if len(out) >= bits/8 {
			return out[:bits/8]
		}
		m.Reset() // not at first: that would cost more than the rest
	}
}

// kdfe is the function KDFe of TCG Part 1, 11.4.10.3, for as many bits as the hash
// has.
func kdfe(h crypto.Hash, z []byte, label string, u, v []byte) []byte {
	info := make([]byte, 0, 4+len(z)+len(label)+1+len(u)+len(v))
	info = append(append(info, 0, 0, 0, 1), z...)
	info = append(append(info, label...), 0)
	info = append(append(info, u...), v...)
	return appendDigest(make([]byte, 0, h.Size()), h, info)
}
