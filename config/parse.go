package config

import (
	"github.com/tenantops/reconciler/protocol"
	"github.com/tenantops/reconciler/protocol/shape"
)

// CodeDocuments is the code of a second document where a file has one.
const CodeDocuments = "one_document"

// ParseOne reads a file that holds one document whose keys are all known, and
// applies defaults. An empty file is an empty mapping. The T means nothing when
// there are errors.
func ParseOne[T any](file string, data []byte) (T, Document, []Fault) {
	documents, faults := Documents(file, data)
	if len(faults) > 0 {
		var zero T
		return zero, Document{File: file}, faults
	}
	d := Document{File: file, Value: map[string]any{}}
	if len(documents) > 0 {
		d = documents[0]
	}
	value, report := shape.Parse[T](d.Value, shape.Strict)
	faults = Besides(d.Issues(protocol.SeverityError, report.Issues), d.secrets())
	for _, more := range documents[min(1, len(documents)):] {
		faults = append(faults, more.Error(nil, CodeDocuments, "the file holds one document", "remove the others"))
	}
	return value, d, faults
}
