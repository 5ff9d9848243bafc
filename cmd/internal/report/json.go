package report

import (
	"encoding/json"
	"fmt"
	"io"
)

func init() {
	register(Format{
		Name:  "json",
		About: "everything, for machines: " + SchemaName + ", its schema printed by `lbtest schema`",
		Write: writeJSON,
	})
}

func writeJSON(w io.Writer, r Report, _ Style) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // advice holds arrows and ampersands, and is meant to be read and pasted
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("writing the report as JSON: %w", err)
	}
	return nil
}
