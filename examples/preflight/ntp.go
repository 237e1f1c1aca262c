package main

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"time"
)

// askTime asks a time server for the time (SNTP, RFC 4330).
func (p *prober) askTime(ctx context.Context, host string, a *answer) {
	off, address, err := p.exchangeTime(ctx, host)
	a.Address = address
	if err != nil {
		a.Stage = "udp"
		var dns *net.DNSError
		if errors.As(err, &dns) {
			a.Stage = stageDNS
		}
		p.judgeError(a.result, err)
		if address != "" && errors.As(err, new(*net.OpError)) {
			a.Detail = "udp: no time server answers at " + address
		}
		if a.Remedy == "" {
			a.Remedy = "Let UDP port 123 pass, or let DHCP name another time server. This does no harm as long as the clock is right."
		}
		return
	}
	a.ahead, a.dated = off, true
	a.note(pass, "it says what time it is", "")
}

// ntpEpoch is the start of the year 1900 in seconds since 1970.
const ntpEpoch = -2208988800

// exchangeTime asks a time server and returns how far its clock is ahead of this
// machine's, and the address that it connected to.
func (p *prober) exchangeTime(ctx context.Context, host string) (off time.Duration, address string, err error) {
	conn, err := p.dial(ctx, "udp", net.JoinHostPort(host, "123"))
	if err != nil {
		return 0, "", err
	}
	defer conn.Close()
	address = conn.RemoteAddr().String()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return 0, address, err
		}
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	packet := make([]byte, 48)
	packet[0] = 4<<3 | 3 // version 4, client
	before := time.Now()
	if _, err := conn.Write(packet); err != nil {
		return 0, address, err
	}
	n, err := conn.Read(packet)
	if err != nil {
		return 0, address, err
	}
	sent, err := transmitted(packet[:n])
	after := time.Now()
	return sent.Sub(before.Add(after.Sub(before) / 2)), address, err
}

// transmitted returns the time at which a server sent its packet, by the
// server's clock.
func transmitted(packet []byte) (time.Time, error) {
	if len(packet) < 48 || packet[0]&7 != 4 || packet[1] == 0 || packet[1] > 15 {
		return time.Time{}, errors.New("this is not how a time server answers")
	}
	seconds := int64(binary.BigEndian.Uint32(packet[40:]))
	if seconds == 0 {
		return time.Time{}, errors.New("the time server does not know the time")
	}
	if seconds < 1<<31 { // from 2036 on (RFC 4330, section 3)
		seconds += 1 << 32
	}
	fraction := int64(binary.BigEndian.Uint32(packet[44:])) * int64(time.Second) >> 32
	return time.Unix(seconds+ntpEpoch, fraction), nil
}
