package softtpm

// Lockout is how a TPM defends itself against guessing (part 1, 19.8.2).
type Lockout struct {
	MaxTries uint32 // wrong values until the TPM is locked
	Recovery uint32 // seconds, turned on, after which one of them is forgotten; 0 forgets at once
	Reset    uint32 // seconds after a wrong lockout authorization; kept, not used
}

// windowsLockout has the values that Windows sets.
var windowsLockout = Lockout{MaxTries: 32, Recovery: 600, Reset: 86400}

// SetLockout changes the defense, as TPM2_DictionaryAttackParameters does.
func (t *TPM) SetLockout(l Lockout) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.st.Lockout, t.dirty = &l, true
}

func (t *TPM) lockout() Lockout {
	if t.st.Lockout == nil {
		return windowsLockout
	}
	return *t.st.Lockout
}

// locked reports whether too many wrong values are remembered.
func (t *TPM) locked() bool { return t.st.Tries >= t.lockout().MaxTries }

// countTry counts a wrong value.
func (t *TPM) countTry() {
	if t.st.Tries == 0 {
		t.st.TriedAt = t.clock()
	}
	t.st.Tries++
	t.dirty = true
}

// forgetTries forgets one wrong value for each time of recovery that went by.
func (t *TPM) forgetTries() {
	if t.st.Tries == 0 {
		return
	}
	step := uint64(t.lockout().Recovery) * 1000
	for now := t.clock(); t.st.Tries > 0 && t.st.TriedAt+step <= now; t.st.Tries-- {
		t.st.TriedAt += step
		t.dirty = true
	}
}

// lockReset is TPM2_DictionaryAttackLockReset (part 3, 25.2).
func lockReset(t *TPM, c *call) code {
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	t.st.Tries = 0
	t.dirty = true
	return 0
}

// lockParameters is TPM2_DictionaryAttackParameters (part 3, 25.3).
func lockParameters(t *TPM, c *call) code {
	l := Lockout{MaxTries: c.in.at(1).u32(), Recovery: c.in.at(2).u32(), Reset: c.in.at(3).u32()}
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	t.st.Lockout, t.dirty = &l, true
	return 0
}
