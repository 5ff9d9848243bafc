package report

import _ "embed"

//go:embed report.v1.schema.json
var schema string

// Schema is the JSON schema (draft 2020-12) of the report.
func Schema() []byte { return []byte(schema) }
