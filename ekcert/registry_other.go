//go:build !windows

package ekcert

import "context"

// systemStore returns nothing, because only Windows keeps such certificates.
func systemStore(context.Context) ([][]byte, error) { return nil, nil }
