package attest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-tpm/tpm2"
)

// An Info is a TPM's description of itself (TPM_PT_MANUFACTURER and others, TCG
// Part 2, 6.13).
type Info struct {
	Manufacturer string // TCG vendor ID without padding, such as "INTC", or 8 hexadecimal digits if it is not printable
	Vendor       string // vendor string, often the model; may be empty
	Firmware     string // firmware version as four decimal numbers of 16 bits, such as "7.85.4555.0"
	Revision     string // revision of the TPM 2.0 specification, such as "1.38"
}

// Info returns the TPM's description of itself. It is not signed by anything. The
// error wraps an [*Error], and the error of ctx if that ended first.
func (t *TPM) Info(ctx context.Context) (*Info, error) {
	var info *Info
	err := t.do(ctx, func() error {
		rsp, err := run(ctx, t, tpm2.GetCapability{
			Capability:    tpm2.TPMCapTPMProperties,
			Property:      uint32(tpm2.TPMPTFamilyIndicator),
			PropertyCount: 16,
		})
		if err != nil {
			return err
		}
		list, err := rsp.CapabilityData.Data.TPMProperties()
		if err != nil {
			return &Error{Op: "TPM2_GetCapability", Err: err}
		}
		p := make(map[tpm2.TPMPT]uint32)
		for _, v := range list.TPMProperty {
			p[v.Property] = v.Value
		}
		info = newInfo(p)
		return nil
	})
	return info, err
}

// handles returns the handles in use from first to last, which are of one kind. It
// asks again as long as the TPM has more.
func (t *TPM) handles(ctx context.Context, first, last uint32) ([]uint32, error) {
	const page, most = 254, 1 << 16
	var all []uint32
	for next := first; len(all) < most; {
		rsp, err := run(ctx, t, tpm2.GetCapability{
			Capability:    tpm2.TPMCapHandles,
			Property:      next,
			PropertyCount: min(page, last-next+1),
		})
		if err != nil {
			return nil, err
		}
		list, err := rsp.CapabilityData.Data.Handles()
		if err != nil {
			return nil, &Error{Op: "TPM2_GetCapability", Err: err}
		}
		for _, h := range list.Handle {
			if uint32(h) > last {
				return all, nil
			}
			if uint32(h) < next {
				return nil, &Error{Op: "TPM2_GetCapability", Err: errors.New("handles are not in order")}
			}
			all = append(all, uint32(h))
			next = uint32(h) + 1
		}
		if !rsp.MoreData || len(list.Handle) == 0 || next > last {
			return all, nil
		}
	}
	return all, nil
}

// newInfo returns the Info of a TPM with the given properties.
func newInfo(p map[tpm2.TPMPT]uint32) *Info {
	var vendor []byte
	for _, pt := range []tpm2.TPMPT{tpm2.TPMPTVendorString1, tpm2.TPMPTVendorString2, tpm2.TPMPTVendorString3, tpm2.TPMPTVendorString4} {
		vendor = binary.BigEndian.AppendUint32(vendor, p[pt])
	}
	hi, lo := p[tpm2.TPMPTFirmwareVersion1], p[tpm2.TPMPTFirmwareVersion2]
	rev := p[tpm2.TPMPTRevision]
	i := &Info{
		Manufacturer: printable(binary.BigEndian.AppendUint32(nil, p[tpm2.TPMPTManufacturer])),
		Vendor:       printable(vendor),
		Firmware:     fmt.Sprintf("%d.%d.%d.%d", hi>>16, hi&0xFFFF, lo>>16, lo&0xFFFF),
		Revision:     fmt.Sprintf("%d.%02d", rev/100, rev%100),
	}
	if i.Manufacturer == "" {
		i.Manufacturer = fmt.Sprintf("%08x", p[tpm2.TPMPTManufacturer])
	}
	return i
}

// printable returns b without padding, or "" if it is not all printable ASCII.
func printable(b []byte) string {
	s := strings.Trim(strings.ReplaceAll(string(b), "\x00", " "), " ")
	for _, c := range []byte(s) {
		if c < 0x20 || c > 0x7E {
			return ""
		}
	}
	return s
}

// nvChunk is how many bytes one TPM2_NV_Read asks for at first. A chip with a lower
// limit says so.
const nvChunk = 1024

// ReadNV returns the whole contents of an NV index, including any padding that its
// maker put behind the data. It uses the empty authorization value of the index
// itself, or OwnerAuth if only the owner may read it. The error wraps an [*Error],
// [ErrNotFound] if the index is not defined or was never written, and the error of
// ctx if that ended first.
func (t *TPM) ReadNV(ctx context.Context, index uint32) ([]byte, error) {
	var data []byte
	err := t.do(ctx, func() (err error) {
		data, err = t.readNV(ctx, index)
		return err
	})
	return data, err
}

// readNV is ReadNV while no other method runs.
func (t *TPM) readNV(ctx context.Context, index uint32) ([]byte, error) {
	pub, err := run(ctx, t, tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index)})
	if hasRC(err, tpm2.TPMRCHandle) {
		return nil, notFound(err, index)
	}
	if err != nil {
		return nil, err
	}
	nv, err := pub.NVPublic.Contents()
	if err != nil || nv.NVIndex != tpm2.TPMHandle(index) {
		return nil, &Error{Op: "TPM2_NV_ReadPublic", Err: errors.New("malformed answer")}
	}
	if !nv.Attributes.Written {
		return nil, &Error{Op: "TPM2_NV_ReadPublic", RC: tpm2.TPMRCNVUninitialized, Err: fmt.Errorf("index 0x%08X: %w: never written", index, ErrNotFound)}
	}
	data := make([]byte, 0, nv.DataSize)
	for chunk := nvChunk; len(data) < int(nv.DataSize); {
		b, err := t.readNVChunk(ctx, nv, pub.NVName, min(chunk, int(nv.DataSize)-len(data)), len(data))
		switch {
		case hasRC(err, tpm2.TPMRCValue) && chunk > 32:
			chunk /= 2
		case hasRC(err, tpm2.TPMRCNVUninitialized):
			return nil, notFound(err, index)
		case err != nil:
			return nil, err
		case len(b) == 0 || len(b) > int(nv.DataSize)-len(data):
			return nil, &Error{Op: "TPM2_NV_Read", Err: fmt.Errorf("index 0x%08X: answer of %d bytes", index, len(b))}
		}
		data = append(data, b...)
	}
	return data, nil
}

// notFound returns err, with which a TPM says that an index is not there, with
// ErrNotFound.
func notFound(err error, index uint32) error {
	var e *Error
	errors.As(err, &e)
	return &Error{Op: e.Op, RC: e.RC, Err: fmt.Errorf("index 0x%08X: %w: %w", index, ErrNotFound, e.Err)}
}

// readNVChunk reads size bytes of an index, from offset on.
func (t *TPM) readNVChunk(ctx context.Context, nv *tpm2.TPMSNVPublic, name tpm2.TPM2BName, size, offset int) ([]byte, error) {
	cmd := tpm2.NVRead{
		NVIndex: tpm2.NamedHandle{Handle: nv.NVIndex, Name: name},
		Size:    uint16(size),
		Offset:  uint16(offset),
	}
	s := tpm2.PasswordAuth(nil)
	if nv.Attributes.AuthRead || !nv.Attributes.OwnerRead {
		cmd.AuthHandle = tpm2.AuthHandle{Handle: nv.NVIndex, Name: name, Auth: s}
	} else {
		var err error
		if s, err = t.authSession(ctx, ofOwner, t.OwnerAuth); err != nil {
			return nil, err
		}
		cmd.AuthHandle = tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: s}
	}
	rsp, err := run(ctx, t, cmd)
	if err != nil {
		return nil, t.spent(s, err)
	}
	return rsp.Data.Buffer, nil
}
