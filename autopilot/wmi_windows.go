package autopilot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/whiteglove/whiteglove/internal/hresult"
)

// Functions of COM and of its strings.
var (
	ole32              = syscall.NewLazyDLL("ole32.dll")
	procInitialize     = ole32.NewProc("CoInitializeEx")
	procUninitialize   = ole32.NewProc("CoUninitialize")
	procCreateInstance = ole32.NewProc("CoCreateInstance")
	procProxyBlanket   = ole32.NewProc("CoSetProxyBlanket")

	oleaut32         = syscall.NewLazyDLL("oleaut32.dll")
	procAllocString  = oleaut32.NewProc("SysAllocString")
	procFreeString   = oleaut32.NewProc("SysFreeString")
	procStringLen    = oleaut32.NewProc("SysStringLen")
	procVariantClear = oleaut32.NewProc("VariantClear")
)

// Class and interface of the WMI locator (wbemcli.h).
var (
	classLocator = syscall.GUID{Data1: 0x4590F811, Data2: 0x1D3A, Data3: 0x11D0, Data4: [8]byte{0x89, 0x1F, 0, 0xAA, 0, 0x4B, 0x2E, 0x24}}
	ifaceLocator = syscall.GUID{Data1: 0xDC12A687, Data2: 0x737F, Data3: 0x11CF, Data4: [8]byte{0x88, 0x4D, 0, 0xAA, 0, 0x4B, 0x2E, 0x24}}
)

// Places of methods in the interfaces of wbemcli.h.
const (
	methodRelease       = 2  // IUnknown
	methodConnectServer = 3  // IWbemLocator
	methodExecQuery     = 20 // IWbemServices
	methodNext          = 4  // IEnumWbemClassObject
	methodGet           = 4  // IWbemClassObject
)

// Values of COM and WMI.
const (
	multithreaded   = 0x0
	inprocServer    = 0x1
	levelCall       = 3
	impersonate     = 3
	authnWinNT      = 10
	forwardOnly     = 0x20 | 0x10 // and return immediately
	infinite        = 0xFFFFFFFF
	typeBSTR        = 8
	errChangedMode  = 0x80010106 // RPC_E_CHANGED_MODE
	errAccessDenied = 0x80041003 // WBEM_E_ACCESS_DENIED
)

// A comObject is an object of COM, which is not in Go's memory.
type comObject struct{ methods *[methodExecQuery + 1]uintptr }

// call calls a method. A code of failure becomes an error.
func (o *comObject) call(method int, args ...uintptr) (uint32, error) {
	r, _, _ := syscall.SyscallN(o.methods[method], append([]uintptr{uintptr(unsafe.Pointer(o))}, args...)...)
	return uint32(r), failure(uint32(r))
}

func (o *comObject) release() {
	if o != nil {
		_, _ = o.call(methodRelease)
	}
}

// failure returns the error of an HRESULT, or nil.
func failure(code uint32) error {
	switch {
	case code < 0x80000000:
		return nil
	case code == errAccessDenied, code == hresult.AccessDenied:
		return fmt.Errorf("%w: run as administrator (0x%08X)", fs.ErrPermission, code)
	}
	return hresult.NewError(code, fmt.Sprintf("WMI failed (0x%08X)", code))
}

// A bstr is a string of COM, which is not in Go's memory.
type bstr uintptr

func newBSTR(s string) (bstr, error) {
	p, err := syscall.UTF16PtrFromString(s)
	if err != nil {
		return 0, err
	}
	r, _, _ := procAllocString.Call(uintptr(unsafe.Pointer(p)))
	if r == 0 {
		return 0, errors.New("out of memory")
	}
	return bstr(r), nil
}

func (b bstr) free() { _, _, _ = procFreeString.Call(uintptr(b)) }

// A variant is a VARIANT that may hold a string.
type variant struct {
	kind uint16
	_    [3]uint16
	text *uint16 // not in Go's memory
	_    uintptr
}

// queryWMI returns a property of the first object that a query finds.
func queryWMI(ctx context.Context, namespace, query, property string) (string, error) {
	type answer struct {
		text string
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		runtime.LockOSThread() // COM is set up for a thread
		defer runtime.UnlockOSThread()
		text, err := query1(namespace, query, property)
		done <- answer{text, err}
	}()
	select {
	case a := <-done:
		return a.text, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// query1 is queryWMI on one thread.
func query1(namespace, query, property string) (string, error) {
	for _, dll := range []*syscall.LazyDLL{ole32, oleaut32} {
		if err := dll.Load(); err != nil {
			return "", err
		}
	}
	r, _, _ := procInitialize.Call(0, multithreaded)
	switch code := uint32(r); {
	case code < 0x80000000:
		defer procUninitialize.Call()
	case code != errChangedMode:
		return "", failure(code)
	}
	service, err := connect(namespace)
	if err != nil {
		return "", err
	}
	defer service.release()
	return first(service, query, property)
}

// connect returns the service of a namespace.
func connect(namespace string) (*comObject, error) {
	var locator, service *comObject
	r, _, _ := procCreateInstance.Call(uintptr(unsafe.Pointer(&classLocator)), 0, inprocServer,
		uintptr(unsafe.Pointer(&ifaceLocator)), uintptr(unsafe.Pointer(&locator)))
	if err := failure(uint32(r)); err != nil {
		return nil, err
	}
	defer locator.release()
	name, err := newBSTR(namespace)
	if err != nil {
		return nil, err
	}
	defer name.free()
	if _, err := locator.call(methodConnectServer, uintptr(name), 0, 0, 0, 0, 0, 0, uintptr(unsafe.Pointer(&service))); err != nil {
		return nil, err
	}
	if err := service.impersonate(); err != nil {
		service.release()
		return nil, err
	}
	return service, nil
}

// impersonate lets WMI act as the caller, for this object only. A package does not
// choose the security of a whole process (CoInitializeSecurity).
func (o *comObject) impersonate() error {
	r, _, _ := procProxyBlanket.Call(uintptr(unsafe.Pointer(o)), authnWinNT, 0, 0, levelCall, impersonate, 0, 0)
	return failure(uint32(r))
}

// first returns a property of the first object that a query finds.
func first(service *comObject, query, property string) (string, error) {
	language, err := newBSTR("WQL")
	if err != nil {
		return "", err
	}
	defer language.free()
	text, err := newBSTR(query)
	if err != nil {
		return "", err
	}
	defer text.free()
	var objects, object *comObject
	if _, err := service.call(methodExecQuery, uintptr(language), uintptr(text), forwardOnly, 0, uintptr(unsafe.Pointer(&objects))); err != nil {
		return "", err
	}
	defer objects.release()
	if err := objects.impersonate(); err != nil {
		return "", err
	}
	var n uint32
	if _, err := objects.call(methodNext, infinite, 1, uintptr(unsafe.Pointer(&object)), uintptr(unsafe.Pointer(&n))); err != nil {
		return "", err
	}
	if n == 0 || object == nil {
		return "", errors.New("WMI has no such object")
	}
	defer object.release()
	name, err := syscall.UTF16PtrFromString(property)
	if err != nil {
		return "", err
	}
	var v variant
	defer procVariantClear.Call(uintptr(unsafe.Pointer(&v)))
	if _, err := object.call(methodGet, uintptr(unsafe.Pointer(name)), 0, uintptr(unsafe.Pointer(&v)), 0, 0); err != nil {
		return "", err
	}
	runtime.KeepAlive(name)
	if v.kind != typeBSTR || v.text == nil {
		return "", errors.New("WMI has no text for the property")
	}
	size, _, _ := procStringLen.Call(uintptr(unsafe.Pointer(v.text)))
	if size > maxText {
		return "", malformed("the text has %d characters", size)
	}
	return syscall.UTF16ToString(unsafe.Slice(v.text, size)), nil
}
