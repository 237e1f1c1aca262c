package attest

import (
	"crypto"
	"crypto/hmac"
	"encoding/binary"
)

// kdfa is KDFa of TCG Part 1, 11.4.10.2, for whole bytes.
func kdfa(h crypto.Hash, key []byte, label string, u, v []byte, bits int) []byte {
	m := hmac.New(h.New, key)
	info := make([]byte, 4, 9+len(label)+len(u)+len(v)) // a counter in front
	info = append(append(info, label...), 0)
	info = append(append(info, u...), v...)
	info = binary.BigEndian.AppendUint32(info, uint32(bits))
	out := make([]byte, 0, bits/8+h.Size())
	for i := uint32(1); len(out) < bits/8; i++ {
		binary.BigEndian.PutUint32(info, i)
		m.Reset()
		m.Write(info)
		out = m.Sum(out)
	}
	return out[:bits/8]
}
