package schema

import (
	"strings"

	"github.com/tenantops/reconciler/protocol"
)

// form is how a field type is stored: the declared type that we give a new
// column, whether the text in it is JSON, and the declared types that a table
// made by an ObjectStack runtime may have instead. An accepted type is as good
// as ours and is never rewritten. The sets were read from databases that the
// published runtimes made (driver-sql and driver-turso of February 2026,
// packages 4.0.1 and 17.4.0, local and remote).
type form struct {
	typ      string
	json     bool
	accepted string // lower case, space-separated
}

var (
	textForm    = form{typ: "TEXT", accepted: "text varchar(255)"}
	numberForm  = form{typ: "REAL", accepted: "real float integer"}
	derivedForm = form{typ: "REAL", accepted: "real float integer varchar(255) text"}
	jsonForm    = form{typ: "TEXT", json: true, accepted: "text varchar(255) json blob"}
)

// forms has every field type but formula, which has no column.
var forms = map[protocol.FieldType]form{
	protocol.FieldText: textForm, protocol.FieldTextarea: textForm, protocol.FieldEmail: textForm,
	protocol.FieldURL: textForm, protocol.FieldPhone: textForm, protocol.FieldPassword: textForm,
	protocol.FieldMarkdown: textForm, protocol.FieldHTML: textForm, protocol.FieldRichtext: textForm,
	protocol.FieldSelect: textForm, protocol.FieldRadio: textForm, protocol.FieldColor: textForm,
	protocol.FieldCode: textForm, protocol.FieldAutonumber: textForm, protocol.FieldQRCode: textForm,
	protocol.FieldSignature: textForm, protocol.FieldLookup: textForm,
	protocol.FieldMasterDetail: textForm, protocol.FieldTree: textForm,

	protocol.FieldDate:     {typ: "TEXT", accepted: "text date"},
	protocol.FieldDatetime: {typ: "TEXT", accepted: "text datetime"},
	protocol.FieldTime:     {typ: "TEXT", accepted: "text time"},

	protocol.FieldNumber: numberForm, protocol.FieldCurrency: numberForm, protocol.FieldPercent: numberForm,
	protocol.FieldSummary: derivedForm, protocol.FieldRating: derivedForm,
	protocol.FieldSlider: derivedForm, protocol.FieldProgress: derivedForm,

	protocol.FieldBoolean: {typ: "INTEGER", accepted: "integer boolean"},
	protocol.FieldToggle:  {typ: "INTEGER", accepted: "integer boolean varchar(255) text"},

	protocol.FieldMultiselect: jsonForm, protocol.FieldCheckboxes: jsonForm, protocol.FieldTags: jsonForm,
	protocol.FieldJSON: jsonForm, protocol.FieldLocation: jsonForm, protocol.FieldAddress: jsonForm,
	protocol.FieldVector: jsonForm, protocol.FieldImage: jsonForm, protocol.FieldFile: jsonForm,
	protocol.FieldAvatar: jsonForm, protocol.FieldVideo: jsonForm, protocol.FieldAudio: jsonForm,
}

// formOf returns how a field is stored, and false when it has no column. A
// type of a newer runtime that we do not know is kept as JSON text, which can
// hold whatever it is.
func formOf(f protocol.Field) (form, bool) {
	if f.Type == protocol.FieldFormula {
		return form{}, false
	}
	if f.Multiple {
		return jsonForm, true
	}
	if known, ok := forms[f.Type]; ok {
		return known, true
	}
	return jsonForm, true
}

// Accepts tells whether a live column made by somebody else is as good as the
// desired one: its declared type is one that a runtime gives such a field, and
// it is not stricter than what is desired. The runtimes leave out NOT NULL
// and defaults in some versions, so their absence is accepted too.
func (c Column) Accepts(live Column) bool {
	if live.NotNull && !c.NotNull {
		return false
	}
	if c.Default != "" && live.Default != "" && !sameDefault(c, live) {
		return false
	}
	if c.Default == "" && live.Default != "" {
		return false
	}
	return c.acceptsType(live.Type)
}

func (c Column) acceptsType(declared string) bool {
	declared = strings.ToLower(strings.TrimSpace(declared))
	if c.Field == "" || c.Kind == "" {
		return systemTypes[c.Name][declared] || declared == strings.ToLower(c.Type)
	}
	accepted := forms[c.Kind].accepted
	if c.JSON {
		accepted = jsonForm.accepted
	}
	return contains(accepted, declared)
}

// systemTypes are the declared types that the runtimes give the columns that
// every table has.
var systemTypes = map[string]map[string]bool{
	"id":         {"text": true, "varchar(255)": true},
	"created_at": {"text": true, "datetime": true},
	"updated_at": {"text": true, "datetime": true},
}

func sameDefault(desired, live Column) bool {
	if desired.Default == live.Default {
		return true
	}
	if desired.Default == nowExpression {
		return contains(acceptedNow, strings.ToLower(strings.Join(strings.Fields(live.Default), "")))
	}
	return strings.Trim(desired.Default, "'") == strings.Trim(live.Default, "'")
}

func contains(set, word string) bool {
	for _, w := range strings.Fields(set) {
		if w == word {
			return true
		}
	}
	return false
}
