package hresult

// Check parses the table.
func Check() error { return Parse(text) }

// Parse parses a table.
func Parse(text string) error {
	_, err := parse(text)
	return err
}
