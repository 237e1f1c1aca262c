package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

const sameCommands = "the driver sees no command that other tests do not send; -all runs it"

// without are tests that do not run in the machine, and why.
var without = map[string]string{
	"TestOpenSSL":         "the machine has no openssl",
	"TestToolsCheckQuote": "the machine has no tpm2-tools",
	"TestToolsKeyFile":    "the machine has no tpm2-tools",
	"TestChangedAnswers":  "it changes hundreds of answers that the driver has passed on already",

	"TestDefaultEK":           sameCommands,
	"TestDefaultEKNotThere":   sameCommands,
	"TestHierarchyAuth":       sameCommands,
	"TestKeyAuth":             sameCommands,
	"TestNoSecretOnTheBus":    sameCommands,
	"TestNothingSecretInARun": sameCommands,
	"TestRefusedSalt":         sameCommands,
	"TestRSA3072":             sameCommands,
	"TestStorageAuth":         sameCommands,
}

// ready are tests that run in the machine with a TPM in this state only, unless -all is
// given.
var ready = []string{"TestActivate", "TestGoAttestationAccepts", "TestKeys"}

// deviceTests returns for each test in a folder that can run on the machine's TPM, as it
// calls forBackends, an expression for -test.run. It prints which it leaves out.
func deviceTests(dir string) (tests []string, err error) {
	files, err := filepath.Glob(dir + "/*_test.go")
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "Test") || !calls(f, "forBackends") {
				continue
			}
			if why := without[f.Name.Name]; why != "" && (why != sameCommands || !*all) {
				fmt.Printf("   left out: %s (%s)\n", f.Name.Name, why)
				continue
			}
			test := "^" + f.Name.Name + "$/^device$"
			if slices.Contains(ready, f.Name.Name) && !*all {
				fmt.Printf("   only with a TPM that has keys: %s\n", f.Name.Name)
				test += "/^ready$"
			}
			tests = append(tests, test)
		}
	}
	return tests, nil
}

// calls reports whether a function calls another of the same package.
func calls(f *ast.FuncDecl, name string) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			id, ok := c.Fun.(*ast.Ident)
			found = found || ok && id.Name == name
		}
		return !found
	})
	return found
}
