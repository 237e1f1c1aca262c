package softtpm

import "encoding/binary"

// A role is the kind of authorization that a command needs for a handle (part 1,
// 19.3).
type role int

const (
	none role = iota
	user
	admin
)

// A slot describes a handle of a command.
type slot struct {
	kind func(uint32) bool
	role role
}

// A command describes a TPM command. The handles that take an authorization
// come first.
type command struct {
	name       string
	handles    []slot
	handleOut  bool
	decrypt    bool // the first parameter can be encrypted
	encrypt    bool // the first parameter of the response can be encrypted
	noSessions bool
	writesNV   bool // of the authorizing NV index
	run        func(*TPM, *call) code
}

// A call is one run of a command.
type call struct {
	cc        uint32
	cmd       *command
	ent       []entity
	in        reader // parameters
	out       writer // response parameters
	newHandle uint32
	auths     []authorization
}

// obj returns the object of handle i, counted from 1, or nil if there is none.
func (c *call) obj(i int) *object { return c.ent[i-1].obj }

// handle returns handle i, counted from 1.
func (c *call) handle(i int) uint32 { return c.ent[i-1].handle }

// Execute runs a command buffer and returns the response buffer. It accepts any bytes.
func (t *TPM) Execute(cmd []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forgetTries()
	rsp, rc := t.execute(cmd)
	t.borrowed = [objectSlots]bool{}
	if rc == 0 {
		return rsp
	}
	tag := uint16(stNoSessions)
	if rc == rcBadTag {
		tag = stRspCommand
	}
	return response(tag, rc, nil)
}

// response puts a response buffer together.
func response(tag uint16, rc code, body []byte) []byte {
	var w writer
	w.u16(tag)
	w.u32(uint32(10 + len(body)))
	w.u32(uint32(rc))
	w.raw(body)
	return w.b
}

func (t *TPM) execute(buf []byte) ([]byte, code) {
	in := reader{b: buf}
	tag, size, cc := in.u16(), in.u32(), in.u32()
	switch {
	case len(buf) < 2:
		return nil, rcInsufficient
	case tag != stNoSessions && tag != stSessions:
		return nil, rcBadTag
	case len(buf) < 10 || len(buf) > maxCommand || int64(size) != int64(len(buf)):
		return nil, rcCommandSize
	}
	cmd := commands()[cc]
	if cmd == nil {
		return nil, rcCommandCode
	}
	c := &call{cc: cc, cmd: cmd}
	if rc := t.resolve(c, &in); rc != 0 {
		return nil, rc
	}
	if rc := t.authorize(c, &in, tag == stSessions); rc != 0 {
		return nil, rc
	}
	if rc := cmd.run(t, c); rc != 0 {
		return nil, rc
	}
	return t.respond(c, tag), 0
}

// respond builds the response of a successful command.
func (t *TPM) respond(c *call, tag uint16) []byte {
	var body writer
	if c.cmd.handleOut {
		body.u32(c.newHandle)
	}
	if tag != stSessions {
		body.raw(c.out.b)
		return response(tag, 0, body.b)
	}
	area := t.respondAuths(c)
	body.u32(uint32(len(c.out.b)))
	body.raw(c.out.b)
	body.raw(area)
	return response(tag, 0, body.b)
}

// encryptable returns the part of b that parameter encryption covers: the
// first TPM2B without its size.
func encryptable(b []byte) ([]byte, bool) {
	if len(b) < 2 {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, false
	}
	return b[2 : 2+n], true
}
