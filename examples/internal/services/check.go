package services

import (
	"fmt"

	"github.com/whiteglove/whiteglove/internal/wire"
)

// Check returns an error unless server, the value of a flag, is empty or an https
// URL.
func Check(server string) error {
	if server == "" {
		return nil
	}
	if err := wire.CheckSecure(server); err != nil {
		return fmt.Errorf("-server: %w", err)
	}
	return nil
}
