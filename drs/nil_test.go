package drs_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/whiteglove/whiteglove/drs"
)

// nowhere refuses each request.
type nowhere struct{}

func (nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

// exported are the exported functions of package drs and values of the types that have
// exported methods.
func exported() (funcs map[string]any, types []any) {
	return map[string]any{"ParseDevice": drs.ParseDevice, "UnsealSession": drs.UnsealSession}, []any{
		&drs.Client{HTTPClient: &http.Client{Transport: nowhere{}}}, &drs.DeviceToken{}, &drs.Error{}, &drs.Prover{}, &drs.Request{}, &drs.Session{}, &drs.SignIn{}, new(drs.Token), new(drs.AttestationForm),
		(*drs.Prover)(nil),
	}
}

// The table above is whole.
func TestNilTable(t *testing.T) {
	have := map[string]bool{}
	funcs, types := exported()
	for name := range funcs {
		have[name] = true
	}
	for _, v := range types {
		for m := range reflect.TypeOf(v).Methods() {
			have[reflect.TypeOf(v).Elem().Name()+"."+m.Name] = true
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				continue
			}
			name := f.Name.Name
			if f.Recv != nil {
				of := f.Recv.List[0].Type
				if star, ok := of.(*ast.StarExpr); ok {
					of = star.X
				}
				name = of.(*ast.Ident).Name + "." + name
			}
			if !have[name] && token.IsExported(name) {
				t.Errorf("%s is not called", name)
			}
		}
	}
}

// Nil and zero arguments are errors, never panics, in each exported function.
func TestNil(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	tenant := &drs.Discovery{
		TenantID: "00000000-0000-4000-8000-000000000001", JoinEndpoint: "https://drs.test/", NonceEndpoint: "https://drs.test/", TokenEndpoint: "https://drs.test/",
		ProofEndpoint: "https://drs.test/", PrecreateEndpoint: "https://drs.test/", AuthorizeEndpoint: "https://drs.test/",
	}
	// A request with any one of these missing.
	requests := []*drs.Request{
		nil,
		{},
		{DeviceKey: key},
		{TransportKey: &key.PublicKey},
		{DeviceKey: key, TransportKey: &key.PublicKey},
		{DeviceKey: key, TransportKey: &key.PublicKey, UserToken: "x", Attestation: &drs.Attestation{}},
		{DeviceKey: key, TransportKey: &key.PublicKey, Attestation: &drs.Attestation{}, Proof: &drs.Proof{}},
	}
	values := map[reflect.Type][]any{}
	add := func(list ...any) {
		for _, v := range list {
			values[reflect.TypeOf(v)] = append(values[reflect.TypeOf(v)], v)
		}
	}
	for _, r := range requests {
		add(r)
	}
	add((*drs.Discovery)(nil), &drs.Discovery{}, tenant)
	add((*drs.Session)(nil), &drs.Session{})
	add((*drs.Computer)(nil), &drs.Computer{})
	add((*drs.Proof)(nil), &drs.Proof{}, &drs.Proof{EK: &key.PublicKey})
	add((*drs.SignIn)(nil), &drs.SignIn{}, &drs.SignIn{Certificate: &x509.Certificate{}}, &drs.SignIn{DeviceKey: key, TransportKey: key}, &drs.SignIn{Certificate: &x509.Certificate{}, DeviceKey: key, TransportKey: key, Username: "a@b.test"})
	add((*drs.AccessRequest)(nil), &drs.AccessRequest{}, &drs.AccessRequest{Resource: "x"})
	add((*drs.CookieRequest)(nil), &drs.CookieRequest{}, &drs.CookieRequest{Nonce: "x"})
	add((*drs.Device)(nil), &drs.Device{}, &drs.Device{Certificate: &x509.Certificate{}})
	add((*drs.DeviceToken)(nil))
	add((*x509.Certificate)(nil), &x509.Certificate{})
	add("", []byte(nil), []byte("x"))
	add(drs.Token(""), drs.Token("x"), drs.FormDefault)
	values[reflect.TypeFor[crypto.Signer]()] = []any{nil, key}
	values[reflect.TypeFor[crypto.Decrypter]()] = []any{nil, key}
	values[reflect.TypeFor[context.Context]()] = []any{t.Context()}
	if _, err := (*drs.DeviceToken)(nil).JoinToken(t.Context(), nil); err == nil {
		t.Error("no token: no error")
	}
	funcs, types := exported()
	for name, f := range funcs {
		callAll(t, name, reflect.ValueOf(f), values)
	}
	for _, v := range types {
		for m := range reflect.TypeOf(v).Methods() {
			if reflect.ValueOf(v).IsNil() && m.Name != "JoinToken" {
				continue
			}
			callAll(t, fmt.Sprintf("%T.%s", v, m.Name), reflect.ValueOf(v).MethodByName(m.Name), values)
		}
	}
}

// harmless are methods that succeed whatever they are given.
var harmless = map[string]bool{
	"*drs.DeviceToken.JoinToken": true, "*drs.Token.MarshalText": true, "*drs.Session.MarshalText": true, "*drs.Error.Unwrap": true,
}

// callAll calls a function with each combination of values. If it can fail, it does.
func callAll(t *testing.T, name string, f reflect.Value, values map[reflect.Type][]any) {
	t.Helper()
	typ := f.Type()
	sets := [][]reflect.Value{nil}
	for i := range typ.NumIn() {
		list, ok := values[typ.In(i)]
		if !ok {
			if typ.In(i).PkgPath() == "fmt" || typ.In(i).Kind() == reflect.Int32 {
				return // a method of fmt
			}
			t.Fatalf("%s: no value for %v", name, typ.In(i))
		}
		var more [][]reflect.Value
		for _, set := range sets {
			for _, v := range list {
				value := reflect.Zero(typ.In(i))
				if v != nil {
					value = reflect.ValueOf(v)
				}
				more = append(more, append(set[:len(set):len(set)], value))
			}
		}
		sets = more
	}
	fails := typ.NumOut() > 0 && typ.Out(typ.NumOut()-1) == reflect.TypeFor[error]()
	for _, set := range sets {
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Errorf("%s%s: %v", name, show(set), p)
				}
			}()
			out := f.Call(set)
			if fails && !harmless[name] && out[len(out)-1].IsNil() {
				t.Errorf("%s%s: no error", name, show(set))
			}
		}()
	}
}

// show returns arguments as text.
func show(set []reflect.Value) string {
	var parts []string
	for _, v := range set {
		parts = append(parts, fmt.Sprintf("%+v", v.Interface()))
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
