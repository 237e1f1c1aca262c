package main

import (
	"encoding/json"
	"net"
	"time"
)

// wake tells QEMU, whose monitor is at the socket, to wake the machine two seconds
// after it went to sleep. It ends with QEMU.
func wake(socket string) {
	var conn net.Conn
	var err error
	for range 100 {
		if conn, err = net.Dial("unix", socket); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return // QEMU has not started, and says why
	}
	defer conn.Close()
	in, out := json.NewDecoder(conn), json.NewEncoder(conn)
	type command struct {
		Execute string `json:"execute"`
	}
	if out.Encode(command{"qmp_capabilities"}) != nil {
		return
	}
	for {
		var said struct{ Event string }
		if in.Decode(&said) != nil {
			return
		}
		if said.Event == "SUSPEND" {
			time.Sleep(2 * time.Second)
			if out.Encode(command{"system_wakeup"}) != nil {
				return
			}
		}
	}
}
