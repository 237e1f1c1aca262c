package drstest

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"strings"
)

// objects are the devices of a directory. The server's lock guards them. A device is found
// in a time that does not depend on how many there are.
type objects struct {
	list  []*Object // oldest first
	added int       // how many were ever added

	// The following maps have the objects in the list by what identifies them.
	ek       map[[32]byte]*Object
	ztdID    map[string]*Object
	deviceID map[string]*Object // in lower case
	cert     map[[32]byte]*Object
	aik      map[string][]*Object // oldest first
}

// add adds an object.
func (d *objects) add(o *Object) {
	if d.deviceID == nil {
		d.ek, d.ztdID, d.deviceID = make(map[[32]byte]*Object), make(map[string]*Object), make(map[string]*Object)
		d.cert, d.aik = make(map[[32]byte]*Object), make(map[string][]*Object)
	}
	d.added++
	o.number = d.added
	d.list = append(d.list, o)
	d.deviceID[strings.ToLower(o.DeviceID)] = o
	if o.ZTDID != "" {
		d.ztdID[o.ZTDID], d.ek[o.EK] = o, o
	}
	d.index(o)
}

// index adds what identifies an object and can change: certificates and attestation key.
func (d *objects) index(o *Object) {
	for _, c := range o.Certificates {
		d.cert[sha256.Sum256(c.Raw)] = o
	}
	if o.AIKName != "" {
		all := append(d.aik[o.AIKName], o)
		slices.SortFunc(all, func(a, b *Object) int { return a.number - b.number })
		d.aik[o.AIKName] = all
	}
}

// unindex undoes index.
func (d *objects) unindex(o *Object) {
	for _, c := range o.Certificates {
		delete(d.cert, sha256.Sum256(c.Raw))
	}
	if o.AIKName == "" {
		return
	}
	if all := slices.DeleteFunc(d.aik[o.AIKName], func(other *Object) bool { return other == o }); len(all) > 0 {
		d.aik[o.AIKName] = all
	} else {
		delete(d.aik, o.AIKName)
	}
}

// update changes the certificates or the attestation key of an object.
func (d *objects) update(o *Object, change func()) {
	if o.number == 0 { // it is not added yet
		change()
		return
	}
	d.unindex(o)
	change()
	d.index(o)
}

// remove removes an object.
func (d *objects) remove(o *Object) {
	d.unindex(o)
	delete(d.deviceID, strings.ToLower(o.DeviceID))
	if o.ZTDID != "" {
		delete(d.ztdID, o.ZTDID)
		if d.ek[o.EK] == o {
			delete(d.ek, o.EK)
		}
	}
	if i, ok := slices.BinarySearchFunc(d.list, o.number, func(a *Object, n int) int { return a.number - n }); ok {
		d.list = slices.Delete(d.list, i, i+1)
	}
	o.number = 0
}

// byEK returns the object of an endorsement key, or nil. The caller locks.
func (s *Server) byEK(hash [32]byte) *Object { return s.objects.ek[hash] }

// byZTDID returns the imported object with a ZTDID, or nil. The caller locks.
func (s *Server) byZTDID(id string) *Object { return s.objects.ztdID[id] }

// byDeviceID returns the object with a device identifier, or nil. The caller locks.
func (s *Server) byDeviceID(id string) *Object { return s.objects.deviceID[strings.ToLower(id)] }

// byAIK returns the oldest object that the attestation key with a name attested last, or
// nil. The caller locks.
func (s *Server) byAIK(name string) *Object {
	if all := s.objects.aik[name]; len(all) > 0 {
		return all[0]
	}
	return nil
}

// byCertificate returns the object with a device certificate, or nil. The caller locks.
func (s *Server) byCertificate(cert *x509.Certificate) *Object {
	return s.objects.cert[sha256.Sum256(cert.Raw)]
}
