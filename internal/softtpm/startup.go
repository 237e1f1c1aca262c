package softtpm

// startup is TPM2_Startup (part 3, 9.3): the TPM is started already, by what
// would be the firmware.
func startup(_ *TPM, c *call) code {
	if rc := c.startupType(); rc != 0 {
		return rc
	}
	return rcInitialize
}

// shutdown is TPM2_Shutdown (part 3, 9.4).
func shutdown(t *TPM, c *call) code {
	if rc := c.startupType(); rc != 0 {
		return rc
	}
	t.dirty = true
	return 0
}

// startupType reads a TPM_SU.
func (c *call) startupType() code {
	if su := c.in.at(1).u16(); c.in.err == 0 && su > 1 {
		c.in.fail(rcValue)
	}
	return c.in.end()
}

// selfTest is TPM2_SelfTest (part 3, 10.2).
func selfTest(_ *TPM, c *call) code {
	if yes := c.in.at(1).u8(); c.in.err == 0 && yes > 1 {
		c.in.fail(rcValue)
	}
	return c.in.end()
}

// getRandom is TPM2_GetRandom (part 3, 16.1).
func getRandom(_ *TPM, c *call) code {
	n := int(c.in.at(1).u16())
	if rc := c.in.end(); rc != 0 {
		return rc
	}
	c.out.sized(randomBytes(min(n, maxDigest)))
	return 0
}
